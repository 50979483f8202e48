"""Byte-pair encoding of words, as before GPT-2: it loses what its alphabet lacks.

Built by hand in notebook 04.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import regex

from gptcourse.tokenizers.base import (
    as_texts,
    checked_ids,
    load_fields,
    naming,
    save_fields,
    without_surrogates,
)
from gptcourse.tokenizers.merges import apply_merges, learn_merges

END_OF_WORD = "</w>"
UNKNOWN = "<unk>"
_WORD = regex.compile(r"\w+|[^\w\s]+")


class WordPairTokenizer:
    """Writes lower-case words as pieces; the last piece of a word ends in `</w>`.

    Lossy, by design of its time: capitals, the amount of white space and characters
    outside the alphabet do not come back. Id 0 is the unknown symbol, then come the
    symbols (a character, or a character that ends a word), then the merges' tokens.

    Source: Sennrich et al. 2016; GPT-1 §4.1 (40,000 merges; its cleaning by ftfy and
    its cutting by spaCy are replaced by a pattern: words, and runs of signs).

    >>> tokenizer = WordPairTokenizer.train(["low lower lowest"], n_vocab=12)
    >>> [tokenizer.tokens[i] for i in tokenizer.encode("Slower")]
    ['s', 'lowe', 'r</w>']
    >>> tokenizer.decode(tokenizer.encode("LOWER,   lower"))
    'lower <unk>lower'
    """

    def __init__(self, symbols: Sequence[str], merges: Iterable[Sequence[str]]):
        self.tokens = [UNKNOWN]
        self._ids, self._pairs = {UNKNOWN: 0}, {}
        for symbol in symbols:
            self._add(symbol)
        self.symbols = tuple(self.tokens[1:])
        self.merges = tuple(map(self._learn, merges))

    def _learn(self, pair: Sequence[str]) -> tuple[str, str]:
        match pair:
            case [str(left), str(right)] if self._ids.get(left) and self._ids.get(
                right
            ):
                self._pairs[self._ids[left], self._ids[right]] = len(self.tokens)
                self._add(left + right)
                return left, right
        number = 1 + len(self._pairs)
        raise ValueError(f"merge {number} is {pair!r}, not two tokens known before it")

    def _add(self, token: str) -> None:
        if not isinstance(token, str) or not token:
            raise ValueError(f"token {token!r} is no string of characters")
        if token in self._ids:
            raise ValueError(f"token {token!r} is made twice")
        self._ids[token] = len(self.tokens)
        self.tokens.append(token)

    @classmethod
    def train(cls, texts: Iterable[str], n_vocab: int) -> "WordPairTokenizer":
        """Learn merges until there are n_vocab tokens, or until no pair is left.

        Raises: ValueError if n_vocab is too small for the texts' symbols.
        """
        words = Counter()
        for text in as_texts(texts):
            words.update(_split(text))
        symbols = sorted(set(chain.from_iterable(map(_spell, words))))
        least = 1 + len(symbols)
        if n_vocab < least:
            raise ValueError(
                f"n_vocab is {n_vocab}: {len(symbols)} symbols and the unknown one"
                f" need at least {least}"
            )
        tokens, merges = [UNKNOWN, *symbols], []
        number = {token: i for i, token in enumerate(tokens)}
        spelled = {
            tuple(map(number.__getitem__, _spell(word))): n for word, n in words.items()
        }
        for left, right in learn_merges(spelled, least, n_vocab - least):
            merges.append((tokens[left], tokens[right]))
            tokens.append(tokens[left] + tokens[right])
        return cls(symbols, merges)

    @property
    def n_vocab(self) -> int:
        """The number of tokens, the unknown symbol included."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text's words; id 0 for each unknown symbol."""
        words = _split(text)
        ids = {word: self._encode_word(word) for word in set(words)}
        return list(chain.from_iterable(map(ids.__getitem__, words)))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words with one space between; ValueError for an unknown id."""
        ids = checked_ids(ids, range(self.n_vocab), self.n_vocab)
        text = "".join(map(self.tokens.__getitem__, ids))
        return text.replace(END_OF_WORD, " ").removesuffix(" ")

    def save(self, path: str | Path) -> None:
        """Write the symbols and merges as JSON."""
        save_fields(
            path, "word-pair", symbols=list(self.symbols), merges=list(self.merges)
        )

    @classmethod
    def load(cls, path: str | Path) -> "WordPairTokenizer":
        """Read what `save` wrote; ValueError says what in the file is wrong."""
        symbols, merges = load_fields(path, "word-pair", symbols=list, merges=list)
        with naming(path):
            return cls(symbols, merges)

    def _encode_word(self, word: str) -> list[int]:
        symbols = [self._ids.get(symbol, 0) for symbol in _spell(word)]
        return apply_merges(symbols, self._pairs)


def _split(text: str) -> list[str]:
    return _WORD.findall(without_surrogates(text).lower())


def _spell(word: str) -> list[str]:
    return [*word[:-1], word[-1] + END_OF_WORD]
