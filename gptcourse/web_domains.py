"""Which site a link leads to, and sites to leave out."""

from collections.abc import Collection
from urllib.parse import urlsplit

#: left out because test sets are made of it (GPT-2 §2.1)
WIKIPEDIA = frozenset({"wikipedia.org"})


def domain_of(url: str) -> str:
    """Return the host that a link leads to, lower-case; "" for what is no web link.

    >>> domain_of("https://EN.wikipedia.org:443/wiki/Cat"), domain_of("mailto:a@b.org")
    ('en.wikipedia.org', '')
    """
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:  # for example a bracket that is never closed
        return ""


def in_domains(domain: str, listed: Collection[str]) -> bool:
    """Tell whether a host is one of the domains listed, or inside one.

    >>> in_domains("en.wikipedia.org", {"wikipedia.org"})
    True
    >>> in_domains("notwikipedia.org", {"wikipedia.org"})
    False
    """
    parts = domain.split(".")
    return any(".".join(parts[i:]) in listed for i in range(len(parts)))


def refused_site(url: str, blocked: Collection[str] = ()) -> str | None:
    """Return the reason why a page's site is left out, or None.

    `blocked` lists domains in lower case; sites inside them are left out too.

    Source: GPT-2 §2.1 (Wikipedia).

    >>> refused_site("https://fr.wikipedia.org/wiki/Chat")
    'Wikipedia'
    >>> refused_site("https://ads.a.org/x", blocked={"a.org"})
    'blocked domain'
    """
    domain = domain_of(url)
    if not domain:
        return "no web link"
    if in_domains(domain, WIKIPEDIA):
        return "Wikipedia"
    return "blocked domain" if in_domains(domain, blocked) else None
