"""Byte-pair encoding of words, as before GPT-2: it loses what its alphabet lacks.

GPT-1's released tokenizer: its vocabulary and merges, on words cut as BERT does.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import regex

from gptcourse.tokenizers.base import (
    as_texts,
    load_fields,
    plain_ids,
    read_object,
    read_text,
    refuse_outside,
    save_fields,
    without_surrogates,
    write_text,
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
            "".join(chr(number[symbol]) for symbol in _spell(word)): n
            for word, n in words.items()
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
        ids = plain_ids(ids)
        refuse_outside(ids, range(self.n_vocab), self.n_vocab)
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
        try:
            return cls(symbols, merges)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _encode_word(self, word: str) -> list[int]:
        symbols = [self._ids.get(symbol, 0) for symbol in _spell(word)]
        return apply_merges(symbols, self._pairs)


def _split(text: str) -> list[str]:
    return _WORD.findall(without_surrogates(text).lower())


def _spell(word: str) -> list[str]:
    return [*word[:-1], word[-1] + END_OF_WORD]


_DROPPED = regex.compile(r"[\p{C}\uFFFD--[\t\n\r]]", regex.VERSION1)
_IDEOGRAPH = regex.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]"
)
_SIGN = r"[\p{P}$+<=>^`|~]"
_GPT1_WORD = regex.compile(rf"{_SIGN}|[^\s{_SIGN[1:-1]}]+")


class GPT1Tokenizer:
    """Writes lower-case words as pieces; the last piece of a word ends in `</w>`.

    The words are cut as Hugging Face does it: accents go, every sign stands alone.
    OpenAI cut them with spaCy after mending text with ftfy, so some words, "don't"
    for one, came out otherwise when GPT-1 was trained.

    `vocabulary` gives the id of every token, `merges` the pairs in the order of
    learning.

    Raises: ValueError for a vocabulary without `<unk>` or with an id twice, and for a
    merge of or into a token that it lacks.
    Source: GPT-1 §4.1; openai/finetune-transformer-lm, text_utils.py; transformers,
    OpenAIGPTTokenizer.

    >>> ids = {"<unk>": 0, "a": 1, "b": 2, "b</w>": 3, "ab</w>": 4}
    >>> tokenizer = GPT1Tokenizer(ids, [("a", "b</w>")])
    >>> tokenizer.encode("Ab bab"), tokenizer.decode([4, 2, 4])
    ([4, 2, 4], 'ab bab')
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Iterable[Sequence[str]]):
        self.vocabulary, self.merges = dict(vocabulary), tuple(map(tuple, merges))
        self._tokens = {i: token for token, i in self.vocabulary.items()}
        if UNKNOWN not in self.vocabulary or len(self._tokens) < len(self.vocabulary):
            raise ValueError(f"the vocabulary lacks {UNKNOWN} or gives an id twice")
        self.n_vocab = max(self._tokens) + 1
        made = {"".join(pair) for pair in self.merges}
        names = [token for token in self.vocabulary if token not in made]
        # Inside, a smaller number is an earlier merge; ids need not have that order.
        self._number = {token: number for number, token in enumerate(names)}
        self._pairs = {}
        for place, pair in enumerate(self.merges, start=1):
            self._learn(pair, place)
        self._ids = [self.vocabulary[token] for token in self._number]

    def _learn(self, pair: tuple[str, ...], place: int) -> None:
        match pair:
            case (left, right) if {left, right} <= self._number.keys():
                token = left + right
                if token in self.vocabulary and token not in self._number:
                    key = self._number[left], self._number[right]
                    self._pairs[key] = self._number[token] = len(self._number)
                    return
        raise ValueError(f"merge {place} is {pair}: not two tokens that make a new one")

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text's words; that of `<unk>` for unknown symbols."""
        words = split_words(text)
        ids = {word: self._encode_word(word) for word in set(words)}
        return list(chain.from_iterable(map(ids.__getitem__, words)))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words with one space between; ValueError for an unknown id."""
        ids = plain_ids(ids)
        refuse_outside(ids, self._tokens, self.n_vocab)
        text = "".join(map(self._tokens.__getitem__, ids))
        return text.replace(END_OF_WORD, " ").removesuffix(" ")

    def save(self, vocabulary: str | Path, merges: str | Path) -> None:
        """Write `vocab.json` (ids) and `merges.txt`, as transformers reads them."""
        write_text(vocabulary, json.dumps(self.vocabulary, ensure_ascii=False))
        lines = ["#version: 0.2", *map(" ".join, self.merges)]
        write_text(merges, "\n".join(lines) + "\n")

    @classmethod
    def load(cls, vocabulary: str | Path, merges: str | Path) -> "GPT1Tokenizer":
        """Read `vocab.json` and `merges.txt`; ValueError says what in them is wrong."""
        lines = read_text(merges).removesuffix("\n").split("\n")
        start = int(lines[0].startswith("#version"))
        ids = read_object(vocabulary)
        for token, i in ids.items():
            if type(i) is not int or i < 0:
                raise ValueError(f"{vocabulary}: token {token!r} has id {i!r}")
        try:
            return cls(ids, [line.split(" ") for line in lines[start:]])
        except ValueError as error:
            raise ValueError(f"{merges}: {error}") from None

    def _encode_word(self, word: str) -> list[int]:
        unknown = self._number[UNKNOWN]
        spelled = [*word[:-1], word[-1] + END_OF_WORD]
        symbols = [self._number.get(symbol, unknown) for symbol in spelled]
        return [self._ids[number] for number in apply_merges(symbols, self._pairs)]


def split_words(text: str) -> list[str]:
    """Cut text into lower-case words without accents; a sign is a word of its own.

    Source: google-research/bert, tokenization.py, `BasicTokenizer`.

    >>> split_words("Déjà-vu?!")
    ['deja', '-', 'vu', '?', '!']
    """
    text = _DROPPED.sub("", without_surrogates(text))
    text = unicodedata.normalize("NFD", _IDEOGRAPH.sub(r" \g<0> ", text))
    return _GPT1_WORD.findall(regex.sub(r"\p{Mn}", "", text).lower())
