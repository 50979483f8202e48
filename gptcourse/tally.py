"""A count of what a step of a pipeline kept, and what it dropped for which reason."""

from collections import Counter
from dataclasses import dataclass, field


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
            self.drop(reason)
        return reason is None

    def drop(self, reason: str) -> None:
        """Count one thing that an early step drops; a later one counts what is kept."""
        self.dropped[reason] += 1

    def rows(self) -> list[tuple[str, int]]:
        """Return what was kept, then each reason, the commonest first, for a table."""
        return [("kept", self.kept), *self.dropped.most_common()]
