"""Links between documents: Sphinx roles, "See Also" sections, dotted names."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

# Roles that name things; :attr: names parameters as often, unless it has a dot.
_ROLE = re.compile(
    r":(?:py:)?(?:func|meth|class|mod|obj|data|exc|attr(?=:`[^`]*\.))"
    r":`(?:[^`<>]*<([^`<>]+)>|([^`<>]+))`"
)
_DOTTED = re.compile(
    r"(?<![:`\w])`{1,2}~?(\.[A-Za-z_][\w.]*|[A-Za-z_]\w*(?:\.\w+)+)(?:\(\))?`"
)
_SEE_ALSO = re.compile(
    r"^See Also\n-{4,}\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL
)
_ENTRY = re.compile(r"^([\w.`~:][\w.`~:, ]*?)(?: +: .*| *:)?$", re.MULTILINE)
_ROLE_MARK = re.compile(r":[a-z]+(?::[a-z]+)?:(?=`)")
_SHORT = {"np": "numpy", "plt": "matplotlib.pyplot", "mpl": "matplotlib"}


class LinkResolver:
    """Finds the document that a text means by a name.

    `names` maps every name under which a document is known to the document's own.
    """

    def __init__(self, names: dict[str, str]):
        self.names = names
        self.by_ending: dict[str, list[str]] = defaultdict(list)
        for name in sorted(set(names.values()), key=lambda name: (len(name), name)):
            parts = name.split(".")
            for i in range(1, len(parts)):
                self.by_ending[".".join(parts[i:])].append(name)

    def resolve(self, target: str, place: str) -> str | None:
        """Return the document that `target` names in the documentation of `place`.

        A name is looked up beside and above the place, as Sphinx does; one that begins
        with a dot, or holds one, anywhere in the same package.

        >>> names = ["numpy.mean", "numpy.linalg.norm", "numpy.linalg.inv"]
        >>> resolver = LinkResolver({name: name for name in names})
        >>> resolver.resolve("inv", "numpy.linalg.norm")
        'numpy.linalg.inv'
        >>> resolver.resolve("np.mean", "numpy.linalg.norm")
        'numpy.mean'
        """
        anywhere = target.startswith(".")
        target = target.strip("~!. ").removesuffix("()")
        head, dot, rest = target.partition(".")
        target = _SHORT.get(head, head) + dot + rest
        scope = place
        while scope and not anywhere:
            found = self.names.get(f"{scope}.{target}")
            if found:
                return found
            scope = scope.rpartition(".")[0]
        if not anywhere and not dot:
            return None
        if target in self.names:
            return self.names[target]
        package = place.partition(".")[0] + "."
        endings = self.by_ending.get(target, ())
        return next((name for name in endings if name.startswith(package)), None)

    def links(self, text: str, name: str) -> tuple[str, ...]:
        """Return the documents that `text`, the documentation of `name`, links to.

        >>> resolver = LinkResolver({"a.f": "a.f", "a.g": "a.g", "a.C.h": "a.C.h"})
        >>> resolver.links("Like :func:`f`, not ``C.h``.", "a.g")
        ('a.C.h', 'a.f')
        """
        found = {self.resolve(target, name) for target in mentions(text)}
        return tuple(sorted(found - {None, name}))


def mentions(text: str) -> Iterator[str]:
    """Yield the names that a text marks as those of something else.

    >>> list(mentions("See :func:`~a.b` and ``c.d``, not `x`."))
    ['~a.b', 'c.d']
    """
    for titled, plain in _ROLE.findall(text):
        yield titled or plain
    yield from _DOTTED.findall(text)
    for section in _SEE_ALSO.findall(text):
        yield from _entries(_ENTRY.findall(_ROLE_MARK.sub("", section)))


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """Split the lines of a "See Also" section, "mean, median : text", into names."""
    for line in lines:
        for name in line.split(","):
            name = name.strip(" `")
            if name and " " not in name:
                yield name
