"""Byte-pair merges: learning them, applying them, finding them again from tokens.

A symbol is a number: 0 to n_symbols - 1 at first; merge i makes n_symbols + i.
"""

import heapq
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, repeat

from gptcourse.tokenizers.vocabulary import BYTE_ORDER, BYTE_RANKS, BytePair, Pair

_NEVER = sys.maxsize
_LONG = 100


def learn_merges(
    counts: Mapping[str, int], n_symbols: int, n_merges: int
) -> list[Pair]:
    """Join the most frequent pair of neighbours, n_merges times or until none is left.

    `counts` maps each word, spelled with one character chr(symbol) for each symbol, to
    how often it occurs. Of pairs with equal counts the one with the smaller symbols
    comes first, as in Hugging Face's `tokenizers`.

    Source: Sennrich et al. 2016, algorithm 1.

    >>> learn_merges({"\\0\\1\\1": 3, "\\1\\1": 1}, n_symbols=2, n_merges=9)
    [(1, 1), (0, 2)]
    """
    words = _CountedWords(counts)
    merges = []
    while len(merges) < n_merges and (found := words.pop_most_frequent()):
        pair, places = found
        words.join(pair, chr(n_symbols + len(merges)), places)
        merges.append((ord(pair[0]), ord(pair[1])))
    return merges


class _CountedWords:
    """Words and the counts of their pairs, which a merge changes only where it joins.

    Words and pairs are strings because Python searches, cuts and joins those in C. The
    queue holds (-count, pair, places), the words in which the pair occurs.
    """

    def __init__(self, counts: Mapping[str, int]):
        self.words = list(counts)
        self.weights = list(counts.values())
        places = defaultdict(list)
        for i, word in enumerate(self.words):
            for left, right in pairwise(word):
                places[left + right].append(i)
        self.counts = {pair: self._count(where) for pair, where in places.items()}
        self.queue = [(-self.counts[pair], pair, places[pair]) for pair in places]
        heapq.heapify(self.queue)

    def _count(self, places: list[int]) -> int:
        return sum(map(self.weights.__getitem__, places))

    def pop_most_frequent(self) -> tuple[str, list[int]] | None:
        """Take the top; one whose count has fallen since goes back, corrected."""
        while self.queue:
            queued, pair, places = self.queue[0]
            now = -self.counts[pair]
            if now == queued:
                heapq.heappop(self.queue)
                return pair, places
            if now:
                heapq.heapreplace(self.queue, (now, pair, places))
            else:
                heapq.heappop(self.queue)
        return None

    def join(self, pair: str, new: str, places: list[int]) -> None:
        """Write `new` for the pair in these words, and count the pairs beside it.

        A word is noted once for each neighbour that an occurrence of the pair has, so
        a pair is counted once for all words.
        """
        words, twins = self.words, []
        lefts, rights = defaultdict(list), defaultdict(list)
        for i in places:
            parts = words[i].split(pair)
            if len(parts) == 1:  # joined before, or its pair went into other merges
                continue
            words[i] = new.join(parts)
            before = parts[0]
            for after in parts[1:]:
                if before:
                    lefts[before[-1]].append(i)
                if after:
                    rights[after[0]].append(i)
                before = after
            if len(parts) > 2:
                twins += [i] * parts[1:-1].count("")
        left, right = pair
        for symbol, where in lefts.items():
            self._replace(symbol + left, symbol + new, where)
        for symbol, where in rights.items():
            self._replace(right + symbol, new + symbol, where)
        if twins:
            self._replace(right + left, new + new, twins)
        del self.counts[pair]

    def _replace(self, old: str, new: str, places: list[int]) -> None:
        count = self._count(places)
        self.counts[old] -= count
        self.counts[new] = count
        heapq.heappush(self.queue, (-count, new, places))


def apply_merges(symbols: list[int], ranks: Mapping[Pair, int]) -> list[int]:
    """Join pairs, always the earliest merge first and at its leftmost place.

    `ranks` gives the symbol that a pair becomes: the smaller, the earlier learnt.

    Source: openai/gpt-2, src/encoder.py, `bpe`.

    >>> apply_merges([0, 1, 1, 1], {(1, 1): 2, (0, 2): 3})
    [3, 1]
    """
    if len(symbols) > _LONG:
        return _apply_to_long(symbols, ranks)
    symbols, rank = symbols.copy(), ranks.get
    joined = list(map(rank, pairwise(symbols), repeat(_NEVER)))
    while joined and (new := min(joined)) != _NEVER:
        i = joined.index(new)
        symbols[i] = new
        del joined[i], symbols[i + 1]
        if i:
            joined[i - 1] = rank((symbols[i - 1], new), _NEVER)
        if i < len(joined):
            joined[i] = rank((new, symbols[i + 1]), _NEVER)
    return symbols


def _apply_to_long(symbols: list[int], ranks: Mapping[Pair, int]) -> list[int]:
    """Do the same in n log n steps: a heap of places over a linked list of symbols."""
    end = len(symbols)
    symbols = [*symbols, None]
    after, before = list(range(1, end + 2)), list(range(-1, end))
    queue = []

    def offer(i: int) -> None:
        new = ranks.get((symbols[i], symbols[after[i]]))
        if new is not None:
            heapq.heappush(queue, (new, i))

    for i in range(end):
        offer(i)
    while queue:
        new, i = heapq.heappop(queue)
        gone = after[i] if symbols[i] is not None else end
        if gone == end or ranks.get((symbols[i], symbols[gone])) != new:
            continue
        symbols[i], symbols[gone] = new, None
        after[i] = after[gone]
        before[after[i]] = i
        offer(i)
        if before[i] >= 0:
            offer(before[i])
    return [symbol for symbol in symbols if symbol is not None]


def spell(token: bytes) -> list[int]:
    """Return the symbols of single bytes, numbered in GPT-2's order of bytes.

    >>> spell(b"!!~")
    [0, 0, 93]
    """
    return list(token.translate(BYTE_RANKS))


def find_merges(tokens: Iterable[bytes]) -> list[BytePair]:
    """Return the merge that makes each token, from tokens in the order of learning.

    By the time a token was learnt, the merges before it had joined its bytes to two
    symbols, always the same two; so tokens alone tell the merges.

    Raises: ValueError for the first token that the merges before it do not reach.

    >>> find_merges([b"bc", b"abc"])
    [(b'b', b'c'), (b'a', b'bc')]
    """
    spelled = [bytes([byte]) for byte in BYTE_ORDER]
    ranks, merges = {}, []
    for i, token in enumerate(tokens, start=1):
        pair = apply_merges(spell(token), ranks)
        if len(pair) != 2:
            parts = [spelled[symbol] for symbol in pair]
            raise ValueError(
                f"merge {i} makes {token!r}, but the merges before it leave {parts}"
            )
        ranks[tuple(pair)] = len(spelled)
        merges.append((spelled[pair[0]], spelled[pair[1]]))
        spelled.append(token)
    return merges


def check_merges(pairs: Sequence[BytePair]) -> list[BytePair]:
    """Return the merges of a file, one for each token, if training can have made them.

    Some files list every pair that spells a token; the one that can occur is kept.

    Raises: ValueError with the number, from 1, of the merge that is wrong.

    >>> check_merges([(b"b", b"c"), (b"ab", b"c")])
    Traceback (most recent call last):
    ValueError: merge 2 joins b'ab', which is no byte and no merge before it makes
    """
    known, place = {bytes([byte]) for byte in range(256)}, {}
    for i, pair in enumerate(pairs, start=1):
        for part in pair:
            if part not in known:
                raise ValueError(
                    f"merge {i} joins {part!r}, which is no byte and no merge before"
                    " it makes"
                )
        if place.setdefault(pair, i) != i:
            raise ValueError(f"merge {i} repeats merge {place[pair]}, {pair}")
        known.add(pair[0] + pair[1])
    merges = find_merges(dict.fromkeys(left + right for left, right in pairs))
    for pair in merges:
        if pair not in place:
            raise ValueError(
                f"the merges spell {pair[0] + pair[1]!r} otherwise than {pair}, the"
                " only pair that its bytes join to: no training makes them"
            )
    return merges
