"""Reddit's submissions, as Pushshift dumps them, and the links people voted for."""

import io
import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from gptcourse.extras import missing_extra
from gptcourse.tally import Tally
from gptcourse.web_domains import domain_of, in_domains, refused_site

MIN_KARMA = 3
#: Reddit itself, and where it keeps pictures and films
REDDIT = frozenset(
    {
        "reddit.com",
        "redd.it",
        "redditmedia.com",
        "redditstatic.com",
        "reddituploads.com",
    }
)
# Pushshift packs with a window of 2 GB; zstd refuses over 128 MB unless told.
_WINDOW = 1 << 31


def read_lines(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the lines of a file, plain or packed (`.zst`, needs the extra `web`).

    A packed file that is cut off gives the lines before the cut.

    Raises: FileNotFoundError; ImportError without the extra; ValueError in one line
    for a packed file that is damaged, after the lines before the damage.

    >>> next(read_lines("RS_2017-11.zst"))  # doctest: +SKIP
    b'{"score": 5, "url": "https://example.org/", ...}\\n'
    """
    with open(path, "rb") as file:
        if Path(path).suffix == ".zst":
            yield from _unpack(file, path)
        else:
            yield from file


def _unpack(file, path: str | os.PathLike) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise missing_extra("packed files need", "web") from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    lines = io.BufferedReader(unpacker.stream_reader(file, read_across_frames=True))
    try:
        yield from lines
    except zstandard.ZstdError as error:
        raise ValueError(f"{path} is damaged or no zstd file ({error})") from None


def outbound_links(
    lines: Iterable[bytes | str],
    tally: Tally,
    blocked_domains: Collection[str] = (),
    min_karma: int = MIN_KARMA,
) -> Iterator[str]:
    """Yield, once each, the links out of Reddit in submissions of enough karma.

    `tally` counts what is kept and what not: a line that is no submission as JSON is a
    "broken row", and the rest goes on. Links to Wikipedia and to blocked domains are
    left out here, before anybody fetches them.

    Source: GPT-2 §2.1.

    >>> tally = Tally()
    >>> rows = ['{"url": "https://a.org/x", "score": 3}', '{"url": "https://b.org"']
    >>> list(outbound_links(rows, tally)), tally.rows()
    (['https://a.org/x'], [('kept', 1), ('broken row', 1)])
    """
    seen = set()
    for line in lines:
        if not line.strip():
            continue
        submission = _read(line)
        reason = _reason_against(submission, min_karma, blocked_domains)
        if reason is None and submission["url"] in seen:
            reason = "link seen before"
        if tally.count(reason):
            seen.add(submission["url"])
            yield submission["url"]


def _read(line: bytes | str) -> dict | None:
    """Return a submission with the fields that count; None for a broken row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match row:
        case {"url": str(), "score": int()}:
            return row
    return None


def _reason_against(
    submission: dict | None, min_karma: int, blocked_domains: Collection[str]
) -> str | None:
    if submission is None:
        return "broken row"
    if submission["score"] < min_karma:
        return f"under {min_karma} karma"
    url = submission["url"]
    if submission.get("is_self") or in_domains(domain_of(url), REDDIT):
        return "no link out"
    return refused_site(url, blocked_domains)
