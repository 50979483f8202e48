"""Byte-pair merges: learning them, applying them, finding them again from tokens.

Built by hand in notebook 04.

A symbol is a number: 0 to n_symbols - 1 at first; merge i makes n_symbols + i.
"""

import heapq
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, repeat

import numpy as np

from gptcourse.tokenizers.vocabulary import BYTE_RANKS, BytePair, Pair, byte_tokens

_NEVER = sys.maxsize
_LONG = 100
_NO_SYMBOL = -1


def learn_merges(
    words: Mapping[Sequence[int], int], n_symbols: int, n_merges: int
) -> list[Pair]:
    """Join the most frequent pair of neighbours, n_merges times or until none is left.

    `words` maps each word, a series of symbols, to how often it occurs. Of pairs with
    equal counts the one with the smaller symbols comes first, as in Hugging Face's
    `tokenizers`. A merge costs what it changes, however long the words are.

    Source: Sennrich et al. 2016, algorithm 1.

    >>> learn_merges({(0, 1, 1): 3, (1, 1): 1}, n_symbols=2, n_merges=9)
    [(1, 1), (0, 2)]
    """
    cells, weights = [_NO_SYMBOL], [0]
    for word, count in words.items():
        cells += [*word, _NO_SYMBOL]
        weights += [count] * len(word) + [0]
    row, weight = _Row(cells), weights.__getitem__
    counts = {pair: sum(map(weight, where)) for pair, where in row.places.items()}
    # The count in the high bits, the pair in the low: numbers compare fast.
    queue = [pair - (count << 64) for pair, count in counts.items()]
    heapq.heapify(queue)
    merges = []
    while queue and len(merges) < n_merges:
        queued = heapq.heappop(queue)
        pair = queued & 0xFFFFFFFFFFFFFFFF
        now = pair - (counts[pair] << 64)
        if now != queued:  # other merges took some of its occurrences, or all
            if counts[pair]:
                heapq.heappush(queue, now)
            continue
        for old, made, where in row.join(pair, n_symbols + len(merges)):
            count = sum(map(weight, where))
            counts[old] -= count
            counts[made] = count
            heapq.heappush(queue, made - (count << 64))
        merges.append(_symbols(pair))
    return merges


class _Row:
    """All symbols in a row, with _NO_SYMBOL at both ends of a word.

    A merged symbol takes as many cells as it joins, and stands in the first and the
    last of them, where its neighbours look. A pair is one number, left << 32 | right;
    its places are the first cells of its right symbols. What stands there may have
    changed since, and is looked at before it is joined.
    """

    def __init__(self, cells: list[int]):
        self.cells = cells
        self.lengths = defaultdict(lambda: 1)
        self.places = _places_of_pairs(np.array(cells))

    def join(self, pair: int, new: int) -> Iterator[tuple[int, int, list[int]]]:
        """Write `new` for the pair; yield each neighbouring pair, then and now."""
        cells, (left, right) = self.cells, _symbols(pair)
        n_left, n_right = self.lengths[left], self.lengths[right]
        self.lengths[new] = n_left + n_right
        before, after = defaultdict(list), defaultdict(list)
        for i in self.places.pop(pair):
            if cells[i] == right and cells[i - 1] == left:
                start, end = i - n_left, i + n_right
                cells[start] = cells[i] = cells[end - 1] = new
                before[cells[start - 1]].append(start)
                after[cells[end]].append(end)
        before.pop(_NO_SYMBOL, None)
        after.pop(_NO_SYMBOL, None)
        then, now = right << 32, new << 32
        for symbol, where in after.items():
            self.places[now | symbol] = where
            yield then | symbol, now | symbol, where
        # Last, as here `symbol` can be `new`, whose pair with `left` was made above.
        for symbol, where in before.items():
            symbol <<= 32
            self.places[symbol | new] = where
            yield symbol | left, symbol | new, where


def _symbols(pair: int) -> Pair:
    return pair >> 32, pair & 0xFFFFFFFF


def _places_of_pairs(cells: np.ndarray) -> dict[int, list[int]]:
    """Return where each pair of neighbours occurs, in order."""
    pairs = cells[:-1] << 32 | cells[1:]
    order = pairs.argsort(kind="stable")
    # Beside _NO_SYMBOL, a pair is negative.
    order = order[np.count_nonzero(pairs < 0) :]
    starts = np.flatnonzero(np.diff(pairs[order], prepend=-1))
    places = (order + 1).tolist()
    return {
        pair: places[start:end]
        for pair, (start, end) in zip(
            pairs[order[starts]].tolist(),
            pairwise([*starts.tolist(), len(places)]),
            strict=True,
        )
    }


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
    """Do the same with a queue of merges, each joined at all its places at once."""
    row = _Row([_NO_SYMBOL, *symbols, _NO_SYMBOL])
    made, queue = list(row.places), []
    while made or queue:
        for pair in made:
            if (new := ranks.get(_symbols(pair))) is not None:
                heapq.heappush(queue, (new, pair))
        made = []
        if queue:
            new, pair = heapq.heappop(queue)
            made = [pair for _, pair, _ in row.join(pair, new)]
    joined, i = [], 1
    while i <= len(symbols):
        joined.append(row.cells[i])
        i += row.lengths[row.cells[i]]
    return joined


def spell(token: bytes) -> list[int]:
    """Return the symbols of single bytes, numbered in GPT-2's order of bytes.

    >>> spell(b"!!~")
    [0, 0, 93]
    """
    return list(token.translate(BYTE_RANKS))


def merges_of(pairs: Iterable[Pair]) -> list[BytePair]:
    """Return the two tokens that each pair of symbols joins, in the order of learning.

    >>> merges_of([(0, 1), (256, 0)])
    [(b'!', b'"'), (b'!"', b'!')]
    """
    tokens, merges = byte_tokens(), []
    for left, right in pairs:
        merges.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    return merges


def find_merges(tokens: Iterable[bytes]) -> dict[Pair, int]:
    """Return the pair that makes each token, with its symbol, in the order of learning.

    By the time a token was learnt, the merges before it had joined its bytes to two
    symbols, always the same two; so tokens alone tell the merges.

    Raises: ValueError for the first token that the merges before it do not reach.

    >>> find_merges([b'"#', b'!"#'])
    {(1, 2): 256, (0, 256): 257}
    """
    spelled, ranks = byte_tokens(), {}
    for i, token in enumerate(tokens, start=1):
        pair = apply_merges(spell(token), ranks)
        if len(pair) != 2:
            parts = [spelled[symbol] for symbol in pair]
            raise ValueError(
                f"merge {i} makes {token!r}, but the merges before it leave {parts}"
            )
        ranks[tuple(pair)] = len(spelled)
        spelled.append(token)
    return ranks


def check_merges(merges: Iterable[BytePair]) -> dict[Pair, int]:
    """Return the symbol that each pair becomes, if training can have made the merges.

    Some files list every pair that spells a token; the one that can occur is kept.

    Raises: ValueError with the number, from 1, of the merge that is wrong.

    >>> check_merges([(b"!", b'"')])
    {(0, 1): 256}
    >>> check_merges([(b"b", b"c"), (b"ab", b"c")])
    Traceback (most recent call last):
    ValueError: merge 2 joins b'ab', which is no byte and no merge before it makes
    """
    known, place = set(byte_tokens()), {}
    for i, pair in enumerate(merges, start=1):
        for part in pair:
            if part not in known:
                raise ValueError(
                    f"merge {i} joins {part!r}, which is no byte and no merge before"
                    " it makes"
                )
        if place.setdefault(pair, i) != i:
            raise ValueError(f"merge {i} repeats merge {place[pair]}, {pair}")
        known.add(pair[0] + pair[1])
    ranks = find_merges(dict.fromkeys(left + right for left, right in place))
    for pair in merges_of(ranks):
        if pair not in place:
            raise ValueError(
                f"the merges spell {pair[0] + pair[1]!r} otherwise than {pair}, the"
                " only pair that its bytes join to: no training makes them"
            )
    return ranks
