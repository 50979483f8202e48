"""Byte-level byte-pair encoding, as in GPT-2."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import regex

from . import tokenizer_store
from .character_tokenizer import ByteTokenizer, CharacterTokenizer, utf8
from .merges import learn_merges

__all__ = ["BytePairTokenizer", "ByteTokenizer", "CharacterTokenizer", "GPT2_PATTERN"]

GPT2_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
_SHOWN = [*range(33, 127), *range(161, 173), *range(174, 256)]
BYTE_ORDER = bytes(_SHOWN + [b for b in range(256) if b not in _SHOWN])


class BytePairTokenizer:
    def __init__(
        self,
        merges: Sequence[tuple[bytes, bytes]],
        special: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ):
        tokens = [bytes([b]) for b in BYTE_ORDER]
        self._rank = {token: i for i, token in enumerate(tokens)}
        for left, right in merges:
            self._rank.setdefault(left + right, len(self._rank))
        self.merges = tuple(merges)
        self.pattern = pattern
        self._split = regex.compile(pattern).findall
        first = len(self._rank)
        self.special = {name: first + i for i, name in enumerate(special)}
        self._bytes = {i: token for token, i in self._rank.items()}
        self._bytes |= {i: name.encode() for name, i in self.special.items()}
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        n_vocab: int,
        special: Sequence[str] = ("<|endoftext|>",),
        pattern: str = GPT2_PATTERN,
    ) -> "BytePairTokenizer":
        if n_vocab < 256 + len(special):
            raise ValueError(
                f"n_vocab is {n_vocab}: 256 bytes and {len(special)} special tokens "
                f"need at least {256 + len(special)}"
            )
        split, pieces = regex.compile(pattern), Counter()
        for text in [texts] if isinstance(texts, str) else texts:
            pieces.update(split.findall(text))
        place = {b: i for i, b in enumerate(BYTE_ORDER)}
        words = {tuple(place[b] for b in utf8(p)): n for p, n in pieces.items()}
        tokens = [bytes([b]) for b in BYTE_ORDER]
        merges, tokens = learn_merges(words, tokens, n_vocab - len(special))
        pairs = [(tokens[left], tokens[right]) for left, right in merges]
        return cls(pairs, special, pattern)

    @property
    def n_vocab(self) -> int:
        return len(self._bytes)

    def encode(self, text: str, allowed_special: Iterable[str] = ()) -> list[int]:
        allowed = sorted(allowed_special, key=len, reverse=True)
        if not allowed:
            return list(chain.from_iterable(map(self._piece, self._split(text))))
        ids = []
        between = "|".join(map(regex.escape, allowed))
        for part in regex.split(f"({between})", text):
            if part in allowed:
                ids.append(self.special[part])
            else:
                ids += self.encode(part)
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        return self._join(data)

    def _piece(self, piece: str) -> list[int]:
        if piece not in self._cache:
            self._cache[piece] = self._join(utf8(piece))
        return self._cache[piece]

    def _join(self, data: bytes) -> list[int]:
        parts = [data[i : i + 1] for i in range(len(data))]
        none = len(self._rank)
        while len(parts) > 1:
            ranks = [self._rank.get(a + b, none) for a, b in zip(parts, parts[1:])]
            best = min(ranks)
            if best == none:
                break
            at = ranks.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return [self._rank[part] for part in parts]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        ids = list(map(int, ids))
        for place, i in enumerate(ids):
            if i not in self._bytes:
                raise ValueError(
                    f"id {i} at position {place} is outside the vocabulary"
                    f" of {self.n_vocab}"
                )
        return b"".join(self._bytes[i] for i in ids)

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        merges = [[a.hex(), b.hex()] for a, b in self.merges]
        tokenizer_store.save(
            path,
            "byte-pair",
            pattern=self.pattern,
            special=self.special,
            merges=merges,
        )

    @classmethod
    def load(cls, path: str | Path) -> "BytePairTokenizer":
        pattern, special, merges = tokenizer_store.load(
            path, "byte-pair", pattern=str, special=dict, merges=list
        )
        pairs = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in merges]
        return cls(pairs, list(special), pattern)
