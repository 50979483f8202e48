"""Byte-level byte-pair encoding, GPT-2's tokenizer, and the interface of all others.

Every tokenizer here has train, encode, decode, decode_bytes, save, load and n_vocab.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import regex

from gptcourse import tokenizer_store
from gptcourse.batched_merges import BatchedMerges
from gptcourse.byte_symbols import BYTE_RANKS, from_symbols, to_symbols
from gptcourse.character_tokenizer import ByteTokenizer, CharacterTokenizer
from gptcourse.merges import (
    BytePair,
    apply_merges,
    check_merges,
    learn_merges,
    spell,
)
from gptcourse.pieces import GPT2_PATTERN, PieceSplitter
from gptcourse.stream_decoder import StreamDecoder
from gptcourse.token_ids import (
    as_texts,
    plain_ids,
    refuse_outside,
    without_surrogates,
)
from gptcourse.vocabulary import (
    assign_ids,
    byte_tokens,
    number_merges,
    number_special,
    read_merge,
    write_merge,
)

__all__ = [
    "GPT2_PATTERN",
    "BytePairTokenizer",
    "ByteTokenizer",
    "CharacterTokenizer",
    "StreamDecoder",
]
END_OF_TEXT = "<|endoftext|>"
# Bounds the cache of a tokenizer to about 20 MB.
_CACHED_PIECES, _CACHED_LENGTH = 1 << 16, 64
# From here on it is faster to join pieces all at once than one by one.
_MANY_PIECES = 1000


def _as_symbols(piece: str) -> str:
    """Write the symbol of each byte as the character with its number."""
    return piece.encode().translate(BYTE_RANKS).decode("latin-1")


class _PieceCache(dict):
    """The ids of pieces met before; emptied when full, and never holds long pieces."""

    def __init__(self, encode: Callable[[str], tuple[int, ...]]):
        self._encode = encode

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = self._encode(piece)
        if len(piece) <= _CACHED_LENGTH:
            if len(self) >= _CACHED_PIECES:
                self.clear()
            self[piece] = ids
        return ids


class BytePairTokenizer:
    """Writes any string as a sequence of byte strings that occur often.

    The ids are GPT-2's: 0 to 255 are the bytes (visible ones first, see
    `byte_symbols`), then each merge's token in the order of learning, then the special
    tokens. `ids` gives other ids to tokens, and a mapping for `special` to special
    tokens, as imported files do.

    Encoding never gives a special token unless `allowed_special` names it: text from
    a stranger cannot end a document. Decoding writes special tokens as text.

    Raises: ValueError for merges in an impossible order, a special token that is empty,
    double or a learnt token too, an id given twice, a pattern that cannot be read.
    Source: GPT-2 §2.2; openai/gpt-2, src/encoder.py.

    >>> tokenizer = BytePairTokenizer.train(["hug hugs bug"], n_vocab=259)
    >>> tokenizer.merges
    ((b'u', b'g'), (b'h', b'ug'))
    >>> tokenizer.encode("hugs"), tokenizer.decode([257, 82])
    ([257, 82], 'hugs')
    >>> tokenizer.encode("<|endoftext|>", allowed_special=["<|endoftext|>"])
    [258]
    """

    def __init__(
        self,
        merges: Iterable[BytePair],
        special: Sequence[str] | Mapping[str, int] = (),
        pattern: str = GPT2_PATTERN,
        ids: Mapping[bytes, int] | None = None,
    ):
        self.merges = tuple(merges)
        self._splitter = PieceSplitter(pattern)
        tokens, self._pairs = number_merges(self.merges)
        self.vocabulary = assign_ids(tokens, ids)
        self.special = number_special(special, self.vocabulary)
        self._symbol_ids = list(self.vocabulary.values())
        self._token_bytes = {i: token for token, i in self.vocabulary.items()}
        self._token_bytes |= {i: name.encode() for name, i in self.special.items()}
        self.n_vocab = max(self._token_bytes) + 1
        self._cache = _PieceCache(self._encode_piece)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        n_vocab: int,
        special: Sequence[str] = (END_OF_TEXT,),
        pattern: str = GPT2_PATTERN,
    ) -> "BytePairTokenizer":
        """Learn merges until the vocabulary has n_vocab tokens, special ones included.

        If no pair of neighbours is left before, the vocabulary stays smaller: ask for
        its `n_vocab`. No text at all gives the bytes and the special tokens. Special
        tokens in the texts are read as plain text.
        """
        least = 256 + len(special)
        if n_vocab < least:
            raise ValueError(
                f"n_vocab is {n_vocab}: 256 bytes and {len(special)} special tokens"
                f" need at least {least}"
            )
        pieces = PieceSplitter(pattern).count(map(without_surrogates, as_texts(texts)))
        words = {_as_symbols(piece): n for piece, n in pieces.items()}
        learnt = learn_merges(words, n_symbols=256, n_merges=n_vocab - least)
        tokens, merges = byte_tokens(), []
        for left, right in learnt:
            merges.append((tokens[left], tokens[right]))
            tokens.append(tokens[left] + tokens[right])
        return cls(merges, special, pattern)

    @property
    def pattern(self) -> str:
        """The regular expression that cuts text into pieces; no merge crosses two."""
        return self._splitter.pattern

    def encode(self, text: str, allowed_special: Iterable[str] | str = ()) -> list[int]:
        """Return the ids of the text; a lone surrogate is read as U+FFFD.

        Special tokens are plain text, except those named in `allowed_special`; "all"
        allows all. Where two could start at one place, the longer is taken.
        """
        text = without_surrogates(text)
        allowed = self._allowed(allowed_special)
        if not allowed:
            return self._encode_plain(text)
        choice = "|".join(map(regex.escape, sorted(allowed, key=len, reverse=True)))
        plain, *rest = regex.split(f"({choice})", text)
        ids = self._encode_plain(plain)
        for name, plain in zip(rest[::2], rest[1::2], strict=True):
            ids.append(self.special[name])
            ids += self._encode_plain(plain)
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """Return the ids of any bytes; those that are no UTF-8 count as signs.

        For the UTF-8 of a text these are the ids of the text.
        """
        return self._encode_plain(data.decode("utf-8", errors="surrogateescape"))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of the ids; ValueError names the first unknown id."""
        ids = plain_ids(ids)
        try:
            return b"".join(map(self._token_bytes.__getitem__, ids))
        except KeyError:
            refuse_outside(ids, self._token_bytes, self.n_vocab)
            raise

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as JSON; a failure leaves an older file as it was."""
        in_order = self._symbol_ids == list(range(len(self._symbol_ids)))
        ids = {} if in_order else self.vocabulary
        tokenizer_store.save(
            path,
            "byte-pair",
            pattern=self.pattern,
            special=self.special,
            merges=list(map(write_merge, self.merges)),
            ids={to_symbols(token): i for token, i in ids.items()},
        )

    @classmethod
    def load(cls, path: str | Path) -> "BytePairTokenizer":
        """Read what `save` wrote; ValueError says what in the file is wrong."""
        pattern, special, merges, ids = tokenizer_store.load(
            path, "byte-pair", pattern=str, special=dict, merges=list, ids=dict
        )
        try:
            pairs = [read_merge(merge) for merge in merges]
            ids = {from_symbols(token): i for token, i in ids.items()}
            return cls(check_merges(pairs), special, pattern, ids or None)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @cached_property
    def _batched(self) -> BatchedMerges:
        return BatchedMerges(self._pairs, self._symbol_ids)

    def _allowed(self, names: Iterable[str] | str) -> set[str]:
        if names == "all":
            return set(self.special)
        allowed = {names} if isinstance(names, str) else set(names)
        for name in sorted(allowed - set(self.special)):
            raise ValueError(
                f"allowed_special names {name!r}, but the special tokens are"
                f" {list(self.special)}"
            )
        return allowed

    def _encode_plain(self, text: str) -> list[int]:
        pieces = self._splitter.rough(text)
        if isinstance(pieces, list) and len(pieces) > _MANY_PIECES:
            self._meet(pieces)
        return list(chain.from_iterable(map(self._cache.__getitem__, pieces)))

    def _meet(self, pieces: list[str]) -> None:
        """Put the ids of new pieces into the cache, if they are many and they fit."""
        new = [
            piece
            for piece in set(pieces).difference(self._cache)
            if piece.isascii() and len(piece) <= _CACHED_LENGTH
        ]
        if _MANY_PIECES < len(new) <= _CACHED_PIECES - len(self._cache):
            self._cache.update(zip(new, self._batched(new), strict=True))

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        if not piece.isascii():
            parts = self._splitter.refine(piece)
            if len(parts) > 1:
                return tuple(chain.from_iterable(map(self._cache.__getitem__, parts)))
        data = piece.encode("utf-8", "surrogateescape")
        if data in self.vocabulary:
            return (self.vocabulary[data],)
        symbols = apply_merges(spell(data), self._pairs)
        return tuple(map(self._symbol_ids.__getitem__, symbols))
