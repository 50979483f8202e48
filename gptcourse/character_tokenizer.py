"""Tokenizers that learn no merges: one token a byte, or one token a character."""

from collections.abc import Iterable
from operator import index
from pathlib import Path

from . import tokenizer_store

UNKNOWN = "\ufffd"


class ByteTokenizer:
    """One token a byte of UTF-8; the id is the byte's value, so n_vocab is 256.

    >>> ByteTokenizer().encode("né")
    [110, 195, 169]
    """

    n_vocab = 256

    @classmethod
    def train(cls, texts: Iterable[str]) -> "ByteTokenizer":
        """Nothing is learnt: any text gives the same 256 tokens."""
        return cls()

    def encode(self, text: str) -> list[int]:
        """The bytes of the text; a lone surrogate becomes U+FFFD."""
        return list(utf8(text))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The ids as bytes."""
        ids = checked_ids(ids, self.n_vocab)
        return bytes(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write a small JSON file."""
        tokenizer_store.save(path, "byte")

    @classmethod
    def load(cls, path: str | Path) -> "ByteTokenizer":
        """Read what `save` wrote."""
        tokenizer_store.load(path, "byte")
        return cls()


class CharacterTokenizer:
    """One token a character; id 0 stands for every character not in the list.

    >>> tokenizer = CharacterTokenizer.train(["abba"])
    >>> tokenizer.encode("abc"), tokenizer.decode([1, 2, 0])
    ([1, 2, 0], 'ab\\ufffd')
    """

    def __init__(self, characters: str):
        if len(set(characters)) != len(characters):
            twice = next(c for c in characters if characters.count(c) > 1)
            raise ValueError(f"character {twice!r} is listed twice")
        self.characters = characters
        self._symbols = UNKNOWN + characters
        self._id = {c: i for i, c in enumerate(self._symbols)}

    @classmethod
    def train(cls, texts: Iterable[str]) -> "CharacterTokenizer":
        """List the characters of the texts in code-point order."""
        seen = set()
        for text in [texts] if isinstance(texts, str) else texts:
            seen.update(text)
        return cls("".join(sorted(seen - {UNKNOWN})))

    @property
    def n_vocab(self) -> int:
        """The characters and the unknown symbol."""
        return len(self._symbols)

    def encode(self, text: str) -> list[int]:
        """One id a character, 0 for an unseen one."""
        return [self._id.get(c, 0) for c in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The characters; id 0 becomes U+FFFD."""
        return "".join(self._symbols[i] for i in checked_ids(ids, self.n_vocab))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The text's UTF-8 bytes."""
        return utf8(self.decode(ids))

    def save(self, path: str | Path) -> None:
        """Write the characters as JSON."""
        tokenizer_store.save(path, "character", characters=self.characters)

    @classmethod
    def load(cls, path: str | Path) -> "CharacterTokenizer":
        """Read what `save` wrote."""
        (characters,) = tokenizer_store.load(path, "character", characters=str)
        return cls(characters)


def utf8(text: str) -> bytes:
    """UTF-8 bytes; surrogate pairs are joined, a lone surrogate becomes U+FFFD.

    >>> utf8("a\\ud800")
    b'a\\xef\\xbf\\xbd'
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        halves = text.encode("utf-16", "surrogatepass")
        return halves.decode("utf-16", "replace").encode("utf-8")


def checked_ids(ids: Iterable[int], n_vocab: int) -> list[int]:
    """Plain ints, each in the vocabulary; ValueError names the first that is not."""
    ids = [index(i) for i in ids]
    for place, i in enumerate(ids):
        if not 0 <= i < n_vocab:
            raise ValueError(
                f"id {i} at position {place} is outside the vocabulary of {n_vocab}"
            )
    return ids
