"""Pages out of Common Crawl's files: WARC holds what servers sent, WET its text."""

import contextlib
import io
import os
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from warcio import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from gptcourse.corpora.corpus import Document
from gptcourse.corpora.filters import Tally
from gptcourse.corpora.pages.webtext import domain_of, extract_text

#: in bytes, packed or not: no record that holds a page is longer; others are broken
MAX_RECORD = 1 << 24
_CHUNK = 1 << 22
_BROKEN = "broken record"
# How a record begins in a plain file, and in a packed one, where each is a gzip member.
# The latter stands in packed bytes by chance too, once in about 200 GB.
_PLAIN = re.compile(rb"(?=WARC/\d\.\d+\r\n[\w-]+:)")
_PACKED = re.compile(rb"(?s)(?=\x1f\x8b\x08[\0-\x1f].{4}[\0\2\4][\0-\r\xff])")
_LENGTH = re.compile(rb"(?im)^Content-Length:[ \t]*(\d{1,9})\s")
_BLANK = re.compile(rb"[\r\n]*")


def read_warc(file: str | os.PathLike | BinaryIO, tally: Tally) -> Iterator[Document]:
    """Yield the pages of a WARC or WET file, packed or plain; count all in `tally`.

    A page's source is its site and its name the link. Of a response, the page's main
    text is taken; a record of a WET file is text already; records of other kinds are
    passed over and not counted. One that is damaged, cut off, without a link or not as
    long as it says is a "broken record", and the rest goes on. warcio would end there;
    so the file is cut into records here, and warcio reads each by itself.

    Raises: ImportError in one line for a response without the extra `online`, which
    takes the text out of a page. Text files of Common Crawl (WET) need no extra.

    >>> record = b"WARC/1.0\\r\\nWARC-Type: conversion\\r\\nContent-Length: 8\\r\\n"
    >>> record += b"WARC-Target-URI: https://a.org/\\r\\n\\r\\nThe cat.\\r\\n\\r\\n"
    >>> tally = Tally()
    >>> [page.text for page in read_warc(io.BytesIO(record + record[:-9]), tally)]
    ['The cat.']
    >>> tally.rows()
    [('kept', 1), ('broken record', 1)]
    """
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as stream:
            yield from read_warc(stream, tally)
        return
    for record in _records(file):
        page = _page(record) if record else _BROKEN
        if isinstance(page, Document):
            tally.count(None)
            yield page
        elif page:
            tally.count(page)


def _page(data: bytes) -> Document | str | None:
    """Return a record's page, or why there is none; None for a record of other kind."""
    try:
        record = next(ArchiveIterator(io.BytesIO(data)), None)
        body = record.content_stream().read(MAX_RECORD)
    except (ArchiveLoadFailed, AttributeError):  # the latter: no link, or no record
        return _BROKEN
    if record.rec_type == "response":
        text = extract_text(body) or ""
    elif record.rec_type == "conversion":
        text = body.decode("utf-8", "replace").strip()
    else:
        return None
    link = record.rec_headers.get_header("WARC-Target-URI")
    if not link:
        return _BROKEN
    return Document(domain_of(link), link, text) if text else "no text in the page"


def _records(stream: BinaryIO) -> Iterator[bytes | None]:
    """Cut a file into its records, unpacked; None for a broken one."""
    chunk = stream.read(_CHUNK)
    packed = chunk.startswith(b"\x1f\x8b")
    for piece in _pieces(chunk, stream, _PACKED if packed else _PLAIN):
        for data in _unpack(piece) if packed else [piece]:
            yield from [None] if data is None else _cut(data)


def _pieces(chunk: bytes, stream: BinaryIO, start: re.Pattern) -> Iterator[bytes]:
    """Cut the chunk, and the stream after it, before each match of `start`."""
    rest = b""
    while chunk:
        *pieces, rest = start.split(rest + chunk)
        if len(rest) > MAX_RECORD:
            pieces, rest = [*pieces, rest], b""
        yield from pieces
        chunk = stream.read(_CHUNK)
    yield rest


def _unpack(piece: bytes) -> Iterator[bytes | None]:
    """Yield what each gzip member of a piece holds; None if that is damaged."""
    while piece:
        member, data = zlib.decompressobj(wbits=31), b""  # 31 is for gzip
        with contextlib.suppress(zlib.error):
            data = member.decompress(piece, MAX_RECORD)
        yield data if member.eof else None
        piece = member.unused_data


def _cut(data: bytes) -> Iterator[bytes | None]:
    """Yield each record as long as it says; None for one that is not."""
    start = _BLANK.match(data).end()
    while start < len(data):
        end = _end(data, start)
        yield data[start:end] if end else None
        if end is None:
            following = _PLAIN.search(data, start + 1)
            end = following.start() if following else len(data)
        start = _BLANK.match(data, end).end()


def _end(data: bytes, start: int) -> int | None:
    """Return where a record ends by its own length; None if it does not end there."""
    head = data.find(b"\r\n\r\n", start)
    length = _LENGTH.search(data, start, head + 1)
    end = head + 4 + int(length[1]) if length else len(data) + 1
    closed = end <= len(data) and data[end : end + 4] in (b"\r\n\r\n", b"")
    return end if closed else None
