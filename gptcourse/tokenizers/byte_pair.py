"""Cutting text into pieces that merges never cross: words, numbers, signs, spaces.

Applying merges to thousands of words at once, one merge in every word a round.

Byte-level byte-pair encoding, GPT-2's tokenizer, and the interface of all others.

Every tokenizer here has train, encode, decode, decode_bytes, save, load and n_vocab.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import regex

from gptcourse.tokenizers.base import (
    as_texts,
    load_fields,
    plain_ids,
    refuse_outside,
    save_fields,
    without_surrogates,
)
from gptcourse.tokenizers.merges import (
    BytePair,
    Pair,
    apply_merges,
    check_merges,
    learn_merges,
    spell,
)
from gptcourse.tokenizers.vocabulary import (
    BYTE_RANKS,
    assign_ids,
    byte_tokens,
    from_symbols,
    number_merges,
    number_special,
    read_merge,
    to_symbols,
    write_merge,
)

GPT2_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)

# The same rule for ASCII in the standard library's `re`, twice as fast as `regex`.
# Where a character beyond ASCII could change a piece, the last branch takes all up to
# a place where every piece ends: a visible ASCII sign before an ASCII space.
_SPACE, _BEYOND = r"\t-\r ", r"\x80-\U0010ffff"
_GPT2_ASCII = re.compile(
    rf" ?[A-Za-z]++(?![{_BEYOND}])"
    r"|'(?:[sdmt]|ll|ve|re)"
    rf"| ?[^{_SPACE}0-9A-Za-z{_BEYOND}]++(?![{_BEYOND}])"
    rf"|[{_SPACE}]+(?=[{_SPACE}][^{_SPACE}{_BEYOND}]|\Z)"
    rf"|[\t-\r](?=[^{_SPACE}{_BEYOND}])"
    rf"| ?[0-9]++(?![{_BEYOND}])"
    rf"|(?s:.+?(?:(?<=[!-~])(?=[{_SPACE}])|\Z))"
)
# Above this length pieces are made one by one, so that a long text needs no long list.
_LIST_LIMIT = 1 << 22


class PieceSplitter:
    """Cuts text by a pattern, in two steps so that repeated pieces cost little.

    `rough` cuts fast but may leave some pieces together; `refine` cuts such a piece
    to the end and returns a whole one as it is. Call the splitter for both at once.

    Source: GPT-2 §2.2; openai/gpt-2, src/encoder.py.

    >>> splitter = PieceSplitter(GPT2_PATTERN)
    >>> splitter("It's 3 naïve  dogs!")
    ['It', "'s", ' 3', ' naïve', ' ', ' dogs', '!']
    """

    def __init__(self, pattern: str):
        try:
            self._exact = regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"pattern {pattern!r} cannot be read: {error}") from None
        if self._exact.groups:
            raise ValueError(
                f"pattern {pattern!r} has a group: write (?:...) for (...)"
            )
        self.pattern = pattern
        self._quick = _GPT2_ASCII if pattern == GPT2_PATTERN else None

    def __call__(self, text: str) -> list[str]:
        """Return all pieces; joined, they are the text."""
        return list(chain.from_iterable(map(self.refine, self.rough(text))))

    def rough(self, text: str) -> Iterable[str]:
        """Cut fast; ValueError names the first character that no piece holds."""
        if self._quick is None:
            return self._cut_with_care(text)
        if len(text) <= _LIST_LIMIT:
            return self._quick.findall(text)
        return (match[0] for match in self._quick.finditer(text))

    def refine(self, piece: str) -> list[str]:
        """Cut one piece of `rough` to the end."""
        if self._quick is None or piece.isascii():
            return [piece]
        return self._exact.findall(piece)

    def count(self, texts: Iterable[str]) -> Counter[str]:
        """Count the pieces of all texts together."""
        rough = Counter()
        for text in texts:
            rough.update(self.rough(text))
        counts = Counter()
        for piece, n in rough.items():
            for part in self.refine(piece):
                counts[part] += n
        return counts

    def _cut_with_care(self, text: str) -> Iterator[str]:
        end = 0
        for match in self._exact.finditer(text):
            if match.start() != end:
                break
            end = match.end()
            yield match[0]
        if end != len(text):
            raise ValueError(
                f"pattern {self.pattern!r} leaves out {text[end]!r} at position {end}:"
                r" end it with |(?s:.)"
            )


_NEVER = 2**31 - 1
_END = -1
_SYMBOL_OF_BYTE = np.frombuffer(BYTE_RANKS, dtype=np.uint8).astype(np.int64)
_SYMBOL_OF_BYTE[0xFF] = _END


class BatchedMerges:
    """Does for many words what `apply_merges` does for one, in half the time.

    One array holds the symbols of all words, with _END after each word. Beside each
    symbol stands what it and its right neighbour become, or _NEVER. `ids` gives the
    id to write for each symbol.

    >>> join = BatchedMerges({(64, 64): 256, (65, 256): 257}, ids=range(258))
    >>> join(["bab", "baa", "a"])
    [(65, 64, 65), (257,), (64,)]
    """

    def __init__(self, ranks: Mapping[Pair, int], ids: Sequence[int]):
        pairs = np.array(list(ranks), dtype=np.int64).reshape(-1, 2)
        news = np.fromiter(ranks.values(), dtype=np.int64, count=len(ranks))
        of_bytes = (pairs < 256).all(axis=1)
        # One row and one column more, for _END.
        self._bytes_become = np.full((257, 257), _NEVER)
        self._bytes_become[tuple(pairs[of_bytes].T)] = news[of_bytes]
        self._become = _PairTable(_key(pairs[:, 0], pairs[:, 1]), news)
        self._ids = np.array([*ids, _END])

    def __call__(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the ids of each word; words are ASCII, and there is one at least."""
        text = b"\xff".join(map(str.encode, words)) + b"\xff"
        symbols, number = self._join(_SYMBOL_OF_BYTE[np.frombuffer(text, np.uint8)])
        starts, ends = (places[number.argsort()].tolist() for places in _words(symbols))
        ids = tuple(self._ids[symbols].tolist())
        return [ids[start:end] for start, end in zip(starts, ends, strict=True)]

    def _join(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Join until nothing joins; return words as they finished, and their numbers.

        A round joins one pair in every word: the one that becomes the least symbol, and
        the leftmost of those. A finished word leaves the array.
        """
        become = np.append(self._bytes_become[symbols[:-1], symbols[1:]], _NEVER)
        number = np.arange(np.count_nonzero(symbols == _END))
        finished = []
        while len(number):
            starts, ends = _words(symbols)
            # The place in the low bits: of equal symbols the leftmost is the least.
            least = np.minimum.reduceat(become << 32 | np.arange(len(become)), starts)
            new, at = least >> 32, least & 0xFFFFFFFF
            going = new != _NEVER
            kept = np.repeat(going, ends + 1 - starts)
            finished.append((symbols[~kept], number[~going]))
            new, at, number = new[going], at[going], number[going]
            symbols[at] = new
            kept[at + 1] = False
            symbols, become = symbols[kept], become[kept]
            self._look_up(become, symbols, at=np.cumsum(kept)[at] - 1)
        return tuple(map(np.concatenate, zip(*finished, strict=True)))

    def _look_up(self, become: np.ndarray, symbols: np.ndarray, at: np.ndarray) -> None:
        """Write what new symbols become with their neighbours on both sides."""
        become[at] = self._become[_key(symbols[at], symbols[at + 1])]
        before = at[at > 0] - 1
        become[before] = self._become[_key(symbols[before], symbols[before + 1])]


def _words(symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the words start, and where their _END is."""
    ends = np.flatnonzero(symbols == _END)
    return np.append(0, ends[:-1] + 1), ends


def _key(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left << 32 | right


class _PairTable:
    """A hash table that looks up an array of keys; absent ones give _NEVER.

    Keys that find their slot taken go to a second, smaller table, and so on.
    """

    def __init__(
        self, keys: np.ndarray, news: np.ndarray, spread: int = 0x9E3779B97F4A7C15
    ):
        bits = (16 * len(keys) + 15).bit_length()
        self._spread, self._shift = np.uint64(spread), np.uint64(64 - bits)
        self._keys, self._news = np.append(keys, -1), np.append(news, _NEVER)
        self._free = len(keys)
        self._place = np.full(1 << bits, self._free)
        slots, places = self._slots(keys), np.arange(len(keys))
        self._place[slots] = places
        taken = self._place[slots] != places
        self._rest = None
        if taken.any():
            # Odd again, and other bits: the keys part ways.
            spread = spread * 5 % 2**64
            self._rest = _PairTable(keys[taken], news[taken], spread)

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        return keys.view(np.uint64) * self._spread >> self._shift

    def __getitem__(self, keys: np.ndarray) -> np.ndarray:
        place = self._place[self._slots(keys)]
        news = self._news[place]
        wrong = np.flatnonzero(self._keys[place] != keys)
        news[wrong] = _NEVER
        if self._rest is not None:
            wrong = wrong[place[wrong] != self._free]
            news[wrong] = self._rest[keys[wrong]]
        return news


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
        save_fields(
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
        pattern, special, merges, ids = load_fields(
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
