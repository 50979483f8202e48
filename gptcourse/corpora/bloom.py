"""Bloom filters of n-grams: how much of a text stood in another, in little memory.

Source: GPT-2 §4 (8-grams, one false hit in 1e8); Bloom 1970.
"""

import math
import re
from functools import lru_cache
from hashlib import blake2b

import numpy as np

_WORD = re.compile(r"[^\W_]+")
_HALF = np.uint64(32)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # any odd number: 2^64 over the golden ratio


class BloomFilter:
    """A set that forgets its members' names: it may wrongly say yes, never wrongly no.

    Sized so that, with `n_items` hashes added, it wrongly says yes to a share
    `false_positive_rate` of all others: m = -n ln p / (ln 2)² bits, k = m/n ln 2 of
    them for each. Each of the k places is a hash of its own. The usual short cut,
    g_i = h1 + i·h2, has only m² outcomes: too few for a rate of 1e-8 where n is below a
    million.

    Raises: ValueError for a number below 1, a rate outside (0, 1), and 2^32 bits.
    Source: Bloom 1970; Dietzfelbinger et al. 1997 (multiply and shift).

    >>> filter = BloomFilter(1_000_000, 1e-8)
    >>> filter.n_bits, filter.n_hashes
    (38340234, 27)
    >>> filter.add(ngram_hashes("To be, or not to be: that is the question."))
    >>> filter.contains(ngram_hashes("or not to be that is the question", n=8)).tolist()
    [True]
    """

    def __init__(self, n_items: int, false_positive_rate: float = 1e-8):
        if n_items < 1 or not 0 < false_positive_rate < 1:
            raise ValueError(
                f"BloomFilter({n_items}, {false_positive_rate}): give at least one "
                "item and a rate between 0 and 1"
            )
        bits = -n_items * math.log(false_positive_rate) / math.log(2) ** 2
        if bits >= 1 << 32:
            raise ValueError(
                f"{n_items} items at {false_positive_rate} need {bits:.3g} bits, over "
                "2^32: share the items among several filters"
            )
        self.n_bits = math.ceil(bits)
        self.n_hashes = max(1, round(bits / n_items * math.log(2)))
        self._bytes = np.zeros(math.ceil(self.n_bits / 8), dtype=np.uint8)
        codes = [_word_code(f"factor {i}") | 1 for i in range(self.n_hashes)]
        self._factors = np.array(codes, dtype=np.uint64)

    @property
    def n_bytes(self) -> int:
        """The memory that the filter takes, in bytes."""
        return self._bytes.nbytes

    def add(self, hashes: np.ndarray) -> None:
        """Add hashes, uint64 of any number."""
        for factor in self._factors:
            byte, bit = self._places(hashes, factor)
            np.bitwise_or.at(self._bytes, byte, bit)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Return for each hash whether it was added; sometimes yes when it was not."""
        found = np.zeros(len(hashes), dtype=bool)
        left = np.arange(len(hashes))
        for factor in self._factors:  # only for what all places before said yes to
            byte, bit = self._places(hashes[left], factor)
            left = left[self._bytes[byte] & bit != 0]
        found[left] = True
        return found

    def _places(self, hashes: np.ndarray, factor: np.uint64) -> tuple[np.ndarray, ...]:
        """Return the byte that holds each hash's bit, and the bit in it."""
        high = (hashes * factor) >> _HALF
        place = (high * np.uint64(self.n_bits)) >> _HALF
        bit = np.left_shift(np.uint8(1), (place & np.uint64(7)).astype(np.uint8))
        return place >> np.uint64(3), bit


def normalise(text: str) -> str:
    """Return the text as lower-case words of letters and digits, one space between.

    Source: GPT-2 §4.

    >>> normalise("It's  GPT-2\\n(2019).")
    'it s gpt 2 2019'
    """
    return " ".join(_WORD.findall(text.lower()))


def ngram_hashes(text: str, n: int = 8) -> np.ndarray:
    """Return a hash for every run of n words of the normalised text, uint64.

    A shorter text gives an empty array. Unlike those of Python's `hash`, the values are
    the same in every process.

    Raises: ValueError for n below 1.

    >>> ngram_hashes("Two words, and two words.", n=2).shape
    (4,)
    """
    if n < 1:
        raise ValueError(f"n={n}: a run has at least one word")
    words = normalise(text).split()
    count = max(0, len(words) - n + 1)
    codes = np.fromiter(map(_word_code, words), dtype=np.uint64, count=len(words))
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(n):
        hashes = hashes * _BASE + codes[offset : offset + count]
    return hashes


def overlap(text: str, seen: BloomFilter, n: int = 8) -> float:
    """Return the share of a text's runs of n words that the filter has seen, 0 to 1.

    0 for a text of fewer than n words.

    Source: GPT-2 §4, T6.

    >>> seen = BloomFilter(100)
    >>> seen.add(ngram_hashes("a rose is a rose", n=3))
    >>> overlap("is a rose red?", seen, n=3)
    0.5
    """
    found = seen.contains(ngram_hashes(text, n))
    return float(found.mean()) if len(found) else 0.0


@lru_cache(maxsize=1 << 17)
def _word_code(word: str) -> int:
    """Return 64 bits of a word: two words of a corpus hardly ever share them."""
    # A lone surrogate is no UTF-8 but may stand in crawled text.
    data = word.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
