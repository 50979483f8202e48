"""Strings that a source file spells out, worked out without running it."""

import ast
import re

_GAP = re.compile(r"\{(\w*)\}")
_UNFILLED = "\0"
_UNFILLED_LINE = re.compile(r"^[ \t]*\0[\0 \t]*\n?", re.MULTILINE)


def static_string(node: ast.expr, constants: dict) -> str | None:
    """Return the string that an expression spells out, or None if it is no string.

    Handles literals, `+`, f-strings, `"...".format(**mapping)` and `cleandoc(...)`.
    A gap filled from a name that `constants` lacks is removed, with its line if the
    line holds nothing else.

    >>> node = ast.parse("'Mean of {x}.\\\\n{y}\\\\nEnd.'.format(**args)", mode="eval")
    >>> static_string(node.body, {"args": {"x": "all"}})
    'Mean of all.\\nEnd.'
    """
    text = _spell(node, constants)
    if text is None:
        return None
    return _UNFILLED_LINE.sub("", text).replace(_UNFILLED, "")


def static_constants(tree: ast.Module, constants: dict) -> dict:
    """Return `constants` and the strings and mappings that a module assigns to names.

    >>> tree = ast.parse("a = 'x'; b = {'k': a + 'y'}; c = open('f')")
    >>> static_constants(tree, {})
    {'a': 'x', 'b': {'k': 'xy'}}
    """
    found = dict(constants)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = _spell(node.value, found)
            if value is None:
                value = _mapping(node.value, found)
            if value is not None:
                found[node.targets[0].id] = value
    return found


def _spell(node: ast.expr, constants: dict) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(constants.get(name), str):
            return constants[name]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            parts = _spell(left, constants), _spell(right, constants)
            return None if None in parts else "".join(parts)
        case ast.JoinedStr(values=values):
            return "".join(_spell_part(value, constants) for value in values)
        case ast.Call(func=ast.Attribute(attr="format", value=value)):
            return _fill(_spell(value, constants), node, constants)
        case ast.Call(func=ast.Attribute(attr="cleandoc" | "dedent"), args=[value]):
            return _spell(value, constants)
    return None


def _spell_part(node: ast.expr, constants: dict) -> str:
    if isinstance(node, ast.FormattedValue):
        return _spell(node.value, constants) or _UNFILLED
    return _spell(node, constants) or ""


def _fill(text: str | None, call: ast.Call, constants: dict) -> str | None:
    """Fill the gaps of `text` from the keywords of a call of `str.format`."""
    if text is None:
        return None
    values: dict[str, str] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            values |= _mapping(keyword.value, constants) or {}
        else:
            values[keyword.arg] = _spell(keyword.value, constants) or _UNFILLED
    pieces = re.split(r"(\{\{|\}\})", text)
    braces = {"{{": "{", "}}": "}"}
    return "".join(
        braces.get(piece) or _GAP.sub(lambda gap: values.get(gap[1], _UNFILLED), piece)
        for piece in pieces
    )


def _mapping(node: ast.expr, constants: dict) -> dict[str, str] | None:
    """Read a dictionary of strings, as a literal or by torch's two helpers for it."""
    match node:
        case ast.Name(id=name) if isinstance(constants.get(name), dict):
            return constants[name]
        case ast.Dict(keys=keys, values=values):
            pairs = {
                _spell(key, constants): _spell(value, constants)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
            return {k: v for k, v in pairs.items() if k is not None and v is not None}
        case ast.Call(func=ast.Name(id="merge_dicts"), args=args):
            merged: dict[str, str] = {}
            for argument in args:
                merged |= _mapping(argument, constants) or {}
            return merged
        case ast.Call(func=ast.Name(id="parse_kwargs"), args=[argument]):
            return _arguments(_spell(argument, constants) or "")
    return None


def _arguments(text: str) -> dict[str, str]:
    """Split a list of arguments, indented by four spaces, into name and description.

    >>> _arguments("\\n    dim (int): the axis.\\n    out (Tensor): the result.\\n")
    {'dim': 'dim (int): the axis.', 'out': 'out (Tensor): the result.'}
    """
    entries = (entry.strip() for entry in re.split(r"\n {4}(?! )", text))
    return {entry.split(" ")[0]: entry for entry in entries if entry}
