"""Near copies in a corpus: MinHash signatures, bands, and groups by union-find.

Built by hand in notebook 07.
"""

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

SHINGLE = 3
BANDS = 20
ROWS = 6
_WORD = re.compile(r"\w+")


def near_copy_groups(
    texts: Sequence[str], bands: int = BANDS, rows: int = ROWS, threshold: float = 0.0
) -> list[int]:
    """Number the texts so that near copies share a number (that of their first).

    Two texts are candidates when they agree in all `rows` MinHash values of one of the
    `bands` bands. A pair of Jaccard similarity j over runs of three words is found with
    probability 1 - (1 - j^rows)^bands. By default, j^6 and 20, that is 0.998 at 0.8,
    0.27 at 0.5 and 0.01 at 0.3. Candidates are near copies if they agree in a share
    `threshold` of all their values; 0 takes them at their word. Groups are closed: a
    copy of a copy belongs to the group.

    Raises: ValueError for no bands or rows, for more than there are values, and for a
    threshold outside 0 to 1.
    Source: Broder 1997 (MinHash); Leskovec, Rajaraman, Ullman, "Mining of Massive
    Datasets", section 3.4 (bands). GPT-3, appendix A, removes near copies likewise.

    >>> text = "Return the mean of the array along the given axis, and nothing else."
    >>> near_copy_groups([text, "Something quite different is said here.", text + "!"])
    [0, 1, 0]
    """
    if not texts:
        return []
    return signature_groups(signatures(texts), bands, rows, threshold)


def signature_groups(
    signature: np.ndarray, bands: int = BANDS, rows: int = ROWS, threshold: float = 0.0
) -> list[int]:
    """Return `near_copy_groups` of the texts with these signatures (texts, values).

    >>> signature_groups(signatures(["a b c d", "A, b; c (d)", "e f g"]), threshold=0.5)
    [0, 0, 2]
    """
    if bands < 1 or rows < 1 or bands * rows > signature.shape[1]:
        raise ValueError(
            f"{bands} bands of {rows} rows: give at least one of each, and together no "
            f"more than the {signature.shape[1]} values of a signature"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} is no share: give one from 0 to 1")
    groups = np.arange(len(signature))
    for one, other in _candidates(signature, bands, rows, all_pairs=threshold > 0):
        apart = groups[one] != groups[other]
        one, other = one[apart], other[apart]
        alike = (signature[one] == signature[other]).mean(axis=1) >= threshold
        if alike.any():
            groups = _join(groups, one[alike], other[alike])
    return groups.tolist()


def signatures(texts: Sequence[str]) -> np.ndarray:
    """Return the MinHash signature of every text: (texts, BANDS * ROWS) uint32.

    The share of equal values in two rows estimates the Jaccard similarity of the two
    sets of shingles.

    >>> signatures(["a b c d", "A, b; c (d)"]).shape
    (2, 120)
    """
    hashes, starts = _shingle_hashes(texts)
    generator = np.random.Generator(np.random.PCG64(0))
    shape = (2, BANDS * ROWS)
    factors, shifts = generator.integers(0, 2**64, size=shape, dtype=np.uint64)
    columns = []
    for factor, shift in zip(factors | np.uint64(1), shifts, strict=True):
        values = ((hashes * factor + shift) >> np.uint64(32)).astype(np.uint32)
        columns.append(np.minimum.reduceat(values, starts))
    return np.stack(columns, axis=1)


def _shingle_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hash every run of words; return all hashes, and where each text's runs start.

    A text with fewer words than a run is padded, so that each has at least one run.
    """
    words: list[int] = []
    counts = np.empty(len(texts), dtype=np.int64)  # of the runs of each text
    for i, text in enumerate(texts):
        found = _WORD.findall(text.lower())
        found += [""] * (SHINGLE - len(found))
        words += [crc32(word.encode()) for word in found]
        counts[i] = len(found) - SHINGLE + 1
    codes = _mix(np.array(words, dtype=np.uint64))
    # A text has SHINGLE - 1 words more than runs: its last ones begin no run.
    skipped = np.repeat(np.arange(len(texts)) * (SHINGLE - 1), counts)
    first = np.arange(len(skipped)) + skipped
    runs = np.zeros(len(first), dtype=np.uint64)
    for offset in range(SHINGLE):
        runs = _mix(runs * np.uint64(31) + codes[first + offset])
    return runs, np.cumsum(counts) - counts


def _mix(x: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers so that similar ones land far apart (splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _candidates(
    signature: np.ndarray, bands: int, rows: int, all_pairs: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of texts that agree in a whole band, a part of them at a time.

    Sorted by the band, such texts stand side by side: each is paired with the next of
    its kind, and for all pairs then with the one after that, and so on.
    """
    for band in np.split(signature[:, : bands * rows], bands, axis=1):
        order = np.lexsort(band.T)
        place = np.arange(len(order))
        for step in range(1, len(order) if all_pairs else 2):
            place = place[place + step < len(order)]
            one, other = order[place], order[place + step]
            same = (band[one] == band[other]).all(axis=1)
            if not same.any():
                break
            place = place[same]
            yield one[same], other[same]


def _join(groups: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Join pairs into groups by union-find; a group is named by its smallest member."""
    parent = groups.tolist()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in zip(one.tolist(), other.tolist(), strict=True):
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return np.array([root(i) for i in range(len(parent))])
