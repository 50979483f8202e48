"""Filters: reasons to leave a document out (length, language, a copy), and a tally.

A filter is a function of a document that returns a reason to drop it, or None.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from gptcourse.corpora.bloom import normalise
from gptcourse.corpora.corpus import Document


@dataclass
class Tally:
    """How many things were kept, and how many were dropped, by reason.

    >>> tally = Tally()
    >>> [tally.count(reason) for reason in (None, "too short", None, "too short")]
    [True, False, True, False]
    >>> tally.rows()
    [('kept', 2), ('too short', 2)]
    """

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def count(self, reason: str | None) -> bool:
        """Count one thing; None for a reason keeps it. Return whether it is kept."""
        if reason is None:
            self.kept += 1
        else:
            self.dropped[reason] += 1
        return reason is None

    def rows(self) -> list[tuple[str, int]]:
        """Return what was kept, then each reason, the commonest first, for a table."""
        return [("kept", self.kept), *self.dropped.most_common()]


Filter = Callable[[Document], str | None]
#: the commonest words of English, about two fifths of ordinary prose
STOP_WORDS = frozenset(
    "the of and to a in is that it for was on are as with be this at by or from not "
    "an have which you but if will can has its they one all when were there".split()
)
MIN_WORDS = 50
MIN_STOP_WORDS = 0.1
_WORD = re.compile(r"[^\W\d_]+")


def too_short(document: Document) -> str | None:
    """Drop a text of fewer than `MIN_WORDS` words.

    Source: ours; GPT-2 §2.1 says only "heuristic based cleaning".

    >>> too_short(Document("a", "x", "Page not found."))
    'too short'
    """
    count = len(_WORD.findall(document.text))
    return "too short" if count < MIN_WORDS else None


def not_english(document: Document) -> str | None:
    """Drop a text in which the commonest English words are rare.

    English prose has about two fifths of them, prose about code a fifth; languages
    that spell a few words alike stay under the limit, `MIN_STOP_WORDS`.

    Source: ours; GPT-2 §3.7 says that non-English pages were filtered out.

    >>> not_english(Document("a", "x", "Le chat est assis sur le tapis du salon."))
    'not English'
    >>> not_english(Document("a", "x", "The cat is on the mat in the hall."))
    """
    words = _WORD.findall(document.text.lower())
    common = sum(word in STOP_WORDS for word in words)
    return "not English" if common < MIN_STOP_WORDS * max(1, len(words)) else None


class ExactCopies:
    """A filter for texts seen before, but for capitals, signs and white space.

    It remembers 16 bytes of each text. For near copies see `near_copies`.

    >>> seen_before = ExactCopies()
    >>> seen_before(Document("a", "x", "To be, or not to be."))
    >>> seen_before(Document("b", "y", "to be or not to be"))
    'exact copy'
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def __call__(self, document: Document) -> str | None:
        """Return a reason for a text seen before; remember a new one."""
        data = normalise(document.text).encode("utf-8", "surrogatepass")
        digest = blake2b(data, digest_size=16).digest()
        if digest in self._seen:
            return "exact copy"
        self._seen.add(digest)
        return None
