"""Tokenizer files: JSON that names its format, written whole or not at all."""

import json
import os
from pathlib import Path

VERSION = 1


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file beside `path`, then give it that name: no half-written file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder, "a.txt"), "whole")
    ...     os.listdir(folder)
    ['a.txt']
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_text(path: str | Path) -> str:
    """Read a UTF-8 file; ValueError says at which byte it is none."""
    try:
        return Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is no UTF-8") from None


def read_object(path: str | Path) -> dict:
    """Read a JSON object; ValueError says where the file is none."""
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path}: no JSON at {place}: {error.msg}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: holds a {type(value).__name__}, not a JSON object")
    return value


def save(path: str | Path, kind: str, **fields) -> None:
    """Write a tokenizer's fields, with its kind and the format's version."""
    header = {"format": f"gptcourse {kind} tokenizer", "version": VERSION}
    write_text(path, json.dumps(header | fields, ensure_ascii=False, indent=0) + "\n")


def load(path: str | Path, kind: str, **types: type) -> list:
    """Read the named fields of a tokenizer of this kind.

    Raises: ValueError if the file is of another kind or version, or if a field is
    missing or not of the given type.
    """
    data = read_object(path)
    expected = f"gptcourse {kind} tokenizer"
    if data.get("format") != expected:
        raise ValueError(f"{path}: format is {data.get('format')!r}, not {expected!r}")
    if data.get("version") != VERSION:
        raise ValueError(
            f"{path}: version {data.get('version')!r}, but this package reads {VERSION}"
        )
    for name, wanted in types.items():
        if not isinstance(data.get(name), wanted):
            raise ValueError(f"{path}: {name!r} is missing or no {wanted.__name__}")
    return [data[name] for name in types]
