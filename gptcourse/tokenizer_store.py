"""Tokenizer files: JSON that names its kind and version, written all or nothing."""

import json
import os
import tempfile
from pathlib import Path

VERSION = 1


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or leave the old one: a temporary file takes its name.

    >>> write_text(os.path.join(tempfile.mkdtemp(), "a.txt"), "whole")
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_json(path: str | Path) -> dict:
    """The JSON object in a file; ValueError names the file and the place."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is no UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"{path}: no JSON at {place}: {error.msg}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: holds a {type(value).__name__}, not a JSON object")
    return value


def save(path: str | Path, kind: str, **fields) -> None:
    """Write a tokenizer's fields under its kind."""
    header = {"format": f"gptcourse {kind} tokenizer", "version": VERSION}
    write_text(path, json.dumps(header | fields, ensure_ascii=False, indent=1) + "\n")


def load(path: str | Path, kind: str, **types: type) -> list:
    """Read the named fields of a tokenizer of this kind, each of the given type."""
    data = read_json(path)
    expected = f"gptcourse {kind} tokenizer"
    if data.get("format") != expected:
        raise ValueError(f"{path}: format is {data.get('format')!r}, not {expected!r}")
    if data.get("version") != VERSION:
        raise ValueError(f"{path}: version {data.get('version')!r}, not {VERSION}")
    for name, wanted in types.items():
        if not isinstance(data.get(name), wanted):
            raise ValueError(f"{path}: {name!r} is missing or no {wanted.__name__}")
    return [data[name] for name in types]
