"""Byte-level byte-pair encoding, GPT-2's tokenizer: train, encode, decode.

Built by hand in notebook 04.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import regex
import tiktoken

from gptcourse.tokenizers.base import (
    as_texts,
    checked_ids,
    load_fields,
    naming,
    save_fields,
    without_surrogates,
)
from gptcourse.tokenizers.merges import (
    apply_merges,
    check_merges,
    learn_merges,
    merges_of,
    spell,
)
from gptcourse.tokenizers.vocabulary import (
    BYTE_RANKS,
    BytePair,
    assign_ids,
    byte_tokens,
    from_symbols,
    number_special,
    read_merge,
    to_symbols,
    write_merge,
)

END_OF_TEXT = "<|endoftext|>"
GPT2_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)

# Bounds the cache of a tokenizer to about 20 MB.
_CACHED_PIECES, _CACHED_LENGTH = 1 << 16, 64
# Longer texts go to tiktoken, in parts that end where a piece ends in any text: after a
# visible sign, before a space. A longer part is one long piece; of those we take care,
# as its pattern matcher gives up on a million spaces.
_LARGE, _PART = 1 << 16, 1 << 12
_PARTS = re.compile(rf"(?s:.{{0,{_PART - 1}}}\S(?=[ \n])|.+?\S(?=[ \n])|.+)")


class BytePairTokenizer:
    """Writes any string as a sequence of byte strings that occur often.

    The ids are GPT-2's: 0 to 255 are the bytes (visible ones first, see
    `to_symbols`), then each merge's token in the order of learning, then the special
    tokens. `ids` gives other ids to tokens, and a mapping for `special` to special
    tokens, as imported files do.

    Encoding never gives a special token unless `allowed_special` names it: text from
    a stranger cannot end a document. Decoding writes special tokens as text.

    Raises: ValueError for merges that no training can have made, a special token that
    is empty, double or a learnt token too, an id given twice, a pattern that cannot be
    read.
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
        self._pattern = _read_pattern(pattern)
        self._ranks = check_merges(merges)
        self.merges = tuple(merges_of(self._ranks))
        learnt = [left + right for left, right in self.merges]
        self.vocabulary = assign_ids(byte_tokens() + learnt, ids)
        self.special = number_special(special, self.vocabulary)
        self._symbol_ids = list(self.vocabulary.values())
        self._token_bytes = {i: token for token, i in self.vocabulary.items()}
        self._token_bytes |= {i: name.encode() for name, i in self.special.items()}
        self.n_vocab = max(self._token_bytes) + 1
        self._cache = _PieceCache(self._encode_piece)

    @property
    def pattern(self) -> str:
        """The regular expression that cuts text into pieces; no merge crosses two."""
        return self._pattern.pattern

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
        cut, pieces = _read_pattern(pattern), Counter()
        for text in as_texts(texts):
            pieces.update(_pieces(cut, without_surrogates(text)))
        words = {piece.encode().translate(BYTE_RANKS): n for piece, n in pieces.items()}
        pairs = learn_merges(words, n_symbols=256, n_merges=n_vocab - least)
        return cls(merges_of(pairs), special, pattern)

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

    def encode_documents(self, texts: Iterable[str]) -> list[int]:
        """Return the ids of all texts in a row, an end-of-text token after each.

        Raises: ValueError if the vocabulary has no such token.
        """
        if END_OF_TEXT not in self.special:
            raise ValueError(
                f"no {END_OF_TEXT} among the special tokens {list(self.special)};"
                " train with it"
            )
        ids = []
        for text in as_texts(texts):
            ids += self.encode(text)
            ids.append(self.special[END_OF_TEXT])
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """Return the ids of any bytes; those that are no UTF-8 count as signs.

        For the UTF-8 of a text these are the ids of the text.
        """
        return self._encode_plain(data.decode("utf-8", errors="surrogateescape"))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of the ids; ValueError names the first unknown id."""
        ids = checked_ids(ids, self._token_bytes, self.n_vocab)
        return b"".join(map(self._token_bytes.__getitem__, ids))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

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
        """Encode by our own algorithm, or a large text by tiktoken's engine."""
        if len(text) <= _LARGE or self._engine is None:
            return self._encode_pieces(text)
        ids = []
        for part in _PARTS.findall(text):
            fits = len(part) <= _PART and _is_known(part)
            encode = self._engine.encode_ordinary if fits else self._encode_pieces
            ids += encode(part)
        return ids

    def _encode_pieces(self, text: str) -> list[int]:
        pieces = _pieces(self._pattern, text)
        return list(chain.from_iterable(map(self._cache.__getitem__, pieces)))

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        symbols = spell(piece.encode("utf-8", "surrogateescape"))
        joined = apply_merges(symbols, self._ranks)
        return tuple(map(self._symbol_ids.__getitem__, joined))

    @cached_property
    def _engine(self) -> tiktoken.Encoding | None:
        """tiktoken with our ranks; None where it would cut or join otherwise.

        Of two merges it takes the one whose token has the smaller id. Other patterns
        may mean other things in its regular expressions than in ours.
        """
        learnt = self._symbol_ids[256:]
        if self.pattern != GPT2_PATTERN or learnt != sorted(learnt):
            return None
        return tiktoken.Encoding(
            "gptcourse",
            pat_str=self.pattern,
            mergeable_ranks=self.vocabulary,
            special_tokens={},
        )

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
        with naming(path):
            ids = {from_symbols(token): i for token, i in ids.items()}
            return cls(map(read_merge, merges), special, pattern, ids or None)


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


def _read_pattern(pattern: str) -> regex.Pattern:
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"pattern {pattern!r} cannot be read: {error}") from None
    if compiled.groups:
        raise ValueError(f"pattern {pattern!r} has a group: write (?:...) for (...)")
    return compiled


def _pieces(pattern: regex.Pattern, text: str) -> list[str]:
    """Cut text; ValueError names the first character that no piece holds."""
    pieces = pattern.findall(text)
    if pattern.pattern != GPT2_PATTERN and len("".join(pieces)) != len(text):
        end = 0
        for match in pattern.finditer(text):
            if match.start() != end:
                break
            end = match.end()
        raise ValueError(
            f"pattern {pattern.pattern!r} leaves out {text[end]!r} at position {end}:"
            r" end it with |(?s:.)"
        )
    return pieces


def _is_known(text: str) -> bool:
    """Tell whether tiktoken knows a text's characters: it may lack the newest letters.

    Those that Python knows, it knows. Halves of characters it replaces.
    """
    return text.isascii() or {"Cn", "Cs"}.isdisjoint(
        map(unicodedata.category, set(text))
    )
