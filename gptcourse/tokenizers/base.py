"""What all tokenizers share: whole ids, text that is Unicode, JSON files.

Also the decoder for tokens that arrive one by one, without half a character.
"""

import json
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import Protocol

from gptcourse.common import whole_file


class Encoder(Protocol):
    """What models, tasks and fine-tuning ask of a tokenizer.

    Those of this package also have train, decode, save and load.
    """

    n_vocab: int

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""


def as_texts(texts: Iterable[str]) -> Iterable[str]:
    """Return the texts; a single string is one text, not a series of characters.

    >>> as_texts("one")
    ['one']
    """
    return [texts] if isinstance(texts, str) else texts


def without_surrogates(text: str) -> str:
    """Return text that UTF-8 can hold: two halves joined, a lone half made U+FFFD.

    Raises: TypeError if it is no string.
    Source: tiktoken, which does the same.

    >>> without_surrogates("a\\ud800")
    'a\\ufffd'
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}, not a string")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def checked_ids(ids: Iterable[int], known, n_vocab: int) -> list[int]:
    """Return ids as a list of ints, from a list, an array or a tensor of one axis (t).

    Raises: TypeError if they are not whole numbers in one axis; ValueError for the
    first that is not among the known ones.

    >>> checked_ids([1, 9], known=range(4), n_vocab=4)
    Traceback (most recent call last):
    ValueError: id 9 at position 1 is outside the vocabulary of 4
    """
    ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    for place, i in enumerate(ids):
        try:
            ids[place] = i = index(i)
        except TypeError:
            raise TypeError(
                f"ids[{place}] is {i!r}: give whole numbers in one axis"
            ) from None
        if i not in known:
            raise ValueError(
                f"id {i} at position {place} is outside the vocabulary of {n_vocab}"
            )
    return ids


class StreamDecoder:
    """Decodes token by token: the bytes of an unfinished character wait for the rest.

    Takes any tokenizer with `decode_bytes`. What `feed` and `finish` return, joined,
    is what `decode` returns for all ids at once.

    >>> from gptcourse.tokenizers.characters import ByteTokenizer
    >>> stream = StreamDecoder(ByteTokenizer())
    >>> [stream.feed(i) for i in "né".encode()], stream.finish()
    (['n', '', 'é'], '')
    """

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token: int) -> str:
        """Return the characters that this id completes, perhaps none."""
        return self._decoder.decode(self._tokenizer.decode_bytes([token]))

    def finish(self) -> str:
        """Return U+FFFD if the last character stayed unfinished; start anew."""
        return self._decoder.decode(b"", final=True)


VERSION = 1


def write_text(path: str | Path, text: str) -> None:
    """Write a whole UTF-8 file, or leave the older one as it was."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Begin every ValueError's message with the file's name, or one in that folder.

    >>> with naming("vocab.json"):
    ...     raise ValueError("no ids")
    Traceback (most recent call last):
    ValueError: vocab.json: no ids
    """
    try:
        yield
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: {error}") from None


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
    except RecursionError:
        raise ValueError(f"{path}: its JSON is nested too deeply to read") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: holds a {type(value).__name__}, not a JSON object")
    return value


def save_fields(path: str | Path, kind: str, **fields) -> None:
    """Write a tokenizer's fields, with its kind and the format's version."""
    header = {"format": f"gptcourse {kind} tokenizer", "version": VERSION}
    write_text(path, json.dumps(header | fields, ensure_ascii=False, indent=0) + "\n")


def load_fields(path: str | Path, kind: str, **types: type) -> list:
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
