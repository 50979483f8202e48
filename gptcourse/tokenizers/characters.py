"""Tokenizers that learn no merges: one token a byte, or one token a character."""

from collections.abc import Iterable
from pathlib import Path

from gptcourse.tokenizers.base import (
    as_texts,
    checked_ids,
    load_fields,
    naming,
    save_fields,
    without_surrogates,
)

UNKNOWN = "\ufffd"


class ByteTokenizer:
    """One token for each byte of UTF-8: the id is the byte, so n_vocab is 256.

    >>> ByteTokenizer().encode("né")
    [110, 195, 169]
    """

    n_vocab = 256

    @classmethod
    def train(cls, texts: Iterable[str]) -> "ByteTokenizer":
        """Return the tokenizer; any texts give the same 256 tokens."""
        return cls()

    def encode(self, text: str) -> list[int]:
        """Return the text's bytes; a lone surrogate becomes U+FFFD."""
        return list(without_surrogates(text).encode())

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the ids as bytes; ValueError names an id of 256 or more."""
        ids = checked_ids(ids, range(self.n_vocab), self.n_vocab)
        return bytes(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write a JSON file that says which tokenizer this is."""
        save_fields(path, "byte")

    @classmethod
    def load(cls, path: str | Path) -> "ByteTokenizer":
        """Read what `save` wrote; ValueError if the file is something else."""
        load_fields(path, "byte")
        return cls()


class CharacterTokenizer:
    """One token for each listed character; id 0 stands for every other one.

    >>> tokenizer = CharacterTokenizer.train(["abba"])
    >>> tokenizer.encode("abc"), tokenizer.n_vocab
    ([1, 2, 0], 3)
    >>> tokenizer.decode([1, 2, 0])
    'ab�'
    """

    def __init__(self, characters: str):
        for place, character in enumerate(characters):
            if character in UNKNOWN + characters[:place]:
                raise ValueError(
                    f"characters[{place}] is {character!r}, which has an id already"
                )
        self.characters = characters
        self._ids = {character: i for i, character in enumerate(UNKNOWN + characters)}

    @classmethod
    def train(cls, texts: Iterable[str]) -> "CharacterTokenizer":
        """Return a tokenizer for the characters of the texts, in code-point order."""
        seen = set()
        for text in as_texts(texts):
            seen.update(without_surrogates(text))
        return cls("".join(sorted(seen - {UNKNOWN})))

    @property
    def n_vocab(self) -> int:
        """The number of characters, and 1 for the unknown symbol."""
        return len(self._ids)

    def encode(self, text: str) -> list[int]:
        """Return one id for each character: 0 where it is unknown."""
        return [self._ids.get(character, 0) for character in without_surrogates(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the characters, U+FFFD for id 0; ValueError for an id too large."""
        ids = checked_ids(ids, range(self.n_vocab), self.n_vocab)
        symbols = UNKNOWN + self.characters
        return "".join(map(symbols.__getitem__, ids))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the characters' UTF-8."""
        return self.decode(ids).encode()

    def save(self, path: str | Path) -> None:
        """Write the characters as JSON."""
        save_fields(path, "character", characters=self.characters)

    @classmethod
    def load(cls, path: str | Path) -> "CharacterTokenizer":
        """Read what `save` wrote; ValueError if the file is something else."""
        (characters,) = load_fields(path, "character", characters=str)
        with naming(path):
            return cls(characters)
