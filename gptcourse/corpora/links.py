"""Links between documents: the names in a text that are names of other documents."""

import re
from collections.abc import Iterable, Iterator

# Marked as a name: :func:`mean`, `.Axes.plot`, ``np.mean()``; in the topics, "try".
_NAME = re.compile(
    r"(:(?:func|meth|class|mod|obj|data):)?"
    r"[`\"][~!]?(\.?[A-Za-z_][\w.]*)(?:\(\))?[`\"]"
)
_SEE_ALSO = "See Also\n--------\n"


class Links:
    """Finds the documents that a text names; `names` are those of all documents.

    >>> links = Links(["a.f", "a.g", "a.C.h"])
    >>> links("a.g", "Like :func:`f`, not ``C.h`` or `x`.")
    ('a.C.h', 'a.f')
    """

    def __init__(self, names: Iterable[str]):
        self.names = set(names)
        # The shortest name of a package that ends in a given way.
        self.by_ending: dict[tuple[str, str], str] = {}
        for name in sorted(self.names, key=lambda name: (len(name), name)):
            package, _, ending = name.partition(".")
            while ending:
                self.by_ending.setdefault((package, ending), name)
                ending = ending.partition(".")[2]

    def __call__(self, name: str, text: str) -> tuple[str, ...]:
        """Return what `text`, the documentation of `name`, names beside itself."""
        found = {self._document(target, name) for target in mentions(name, text)}
        return tuple(sorted(found - {None, name}))

    def _document(self, target: str, place: str) -> str | None:
        """Look beside and above the place, as Sphinx does; with a dot, anywhere."""
        dotted = "." in target
        target = target.strip(".")
        scope = place
        while scope:
            if f"{scope}.{target}" in self.names:
                return f"{scope}.{target}"
            scope = scope.rpartition(".")[0]
        if not dotted:
            return None
        if target in self.names:
            return target
        return self.by_ending.get((place.partition(".")[0], target))


def mentions(name: str, text: str) -> Iterator[str]:
    """Yield what a text marks as a name.

    A name without a role and without a dot is as often a parameter. It counts in the
    topics of `help` alone, which have none.

    >>> list(mentions("a.g", "See :func:`~a.b` and ``c.d``, not `x`."))
    ['a.b', 'c.d']
    """
    for role, target in _NAME.findall(text):
        if role or "." in target or name.startswith("topics."):
            yield target
    section = text.partition(_SEE_ALSO)[2].partition("\n---")[0]
    for line in section.splitlines():
        if not line.startswith(" "):  # "mean, median : Averages."
            yield from re.split(", *", line.partition(":")[0].strip(" `"))
