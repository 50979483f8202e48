"""Pages out of WARC and WET files, whole and damaged."""

import gzip
import io
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from gptcourse.corpora.corpus import Document
from gptcourse.corpora.filters import Tally
from gptcourse.corpora.pages import warc
from gptcourse.corpora.pages.warc import read_warc

PROSE = "The cat sat on the mat, and nobody knew what it was waiting for. "
HTML = f"<html><body><nav>Home</nav><p>{PROSE * 5}</p></body></html>".encode()


def record(link, body, kind="conversion", headers=(), packed=False):
    """A record as warcio writes it."""
    written, http = io.BytesIO(), None
    if kind == "response":
        http = StatusAndHeaders("200 OK", list(headers), protocol="HTTP/1.1")
    writer = WARCWriter(written, gzip=packed)
    made = writer.create_warc_record(
        link, kind, payload=io.BytesIO(body), http_headers=http
    )
    writer.write_record(made)
    return written.getvalue()


def read(data):
    tally = Tally()
    found = list(read_warc(io.BytesIO(data), tally))
    assert tally.kept == len(found)
    return found, dict(tally.dropped)


def names(data):
    found, dropped = read(data)
    return "".join(page.name.removeprefix("https://a.org/") for page in found), dropped


@pytest.mark.parametrize("packed", [False, True])
def test_pages_of_both_kinds_are_read(packed, tmp_path):
    data = record("", b"software: x", "warcinfo", packed=packed)
    data += record("https://a.org/wet", b"The caf\xc3\xa9.\n", packed=packed)
    data += record("https://a.org/r", b"GET / HTTP/1.1", "request", packed=packed)
    data += record("https://b.org/warc", HTML, "response", packed=packed)
    data += record("https://b.org/m", b"seconds: 1", "metadata", packed=packed)
    expected = [
        Document("a.org", "https://a.org/wet", "The café."),
        Document("b.org", "https://b.org/warc", (PROSE * 5).strip()),
    ]
    assert read(data) == (expected, {})
    path = tmp_path / "pages.warc.gz"
    path.write_bytes(data)
    for name in (path, str(path)):
        assert list(read_warc(name, Tally())) == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "conversion"),
        (b" \n ", "conversion"),
        (b"", "response"),
        (b"<html></html>", "response"),
        (b"%PDF-1.4 \0\1\2", "response"),
    ],
)
def test_a_page_without_text_is_skipped_and_counted(body, kind):
    data = record("https://a.org/1", body, kind) + record("https://a.org/2", b"Two.")
    assert names(data) == ("2", {"no text in the page": 1})


@pytest.mark.parametrize("declared", ["utf-8", "latin-1", "nonsense", "utf-16"])
def test_a_wrong_charset_costs_no_page(declared):
    html = HTML.replace(b"cat", "café".encode("latin-1"))
    headers = [("Content-Type", f"text/html; charset={declared}")]
    found, dropped = read(record("https://a.org/", html, "response", headers))
    assert dropped == {} and found[0].text.count("sat on the mat") == 5
    found, dropped = read(record("https://a.org/", b"caf\xe9 au lait"))
    assert (found[0].text, dropped) == ("caf\ufffd au lait", {})


def test_what_the_server_packed_is_unpacked():
    body = gzip.compress(HTML)
    chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    headers = [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
    found, _ = read(record("https://a.org/", chunks, "response", headers))
    assert found[0].text == (PROSE * 5).strip()


def test_a_page_that_unpacks_to_too_much_is_not_read_whole(monkeypatch):
    monkeypatch.setattr(warc, "MAX_RECORD", 1 << 20)
    sizes = []
    monkeypatch.setattr(warc, "extract_text", lambda body: sizes.append(len(body)))
    body = gzip.compress(bytes(1 << 23))
    headers = [("Content-Encoding", "gzip")]
    read(record("https://a.org/", body, "response", headers))
    assert sizes == [1 << 20]


# Damage: what comes before and after is read, and one record is counted.


def damaged(change, kind, packed):
    """Three records, of which the second is changed before it is packed."""
    body = HTML if kind == "response" else PROSE.encode()
    whole = [record(f"https://a.org/{i}", body, kind) for i in range(3)]
    whole[1] = change(whole[1])
    return b"".join(map(gzip.compress, whole) if packed else whole)


def length_of(data):
    return data.split(b"Content-Length: ")[1].split(b"\r\n")[0]


def with_length(text):
    return lambda data: data.replace(
        b"Content-Length: " + length_of(data), b"Content-Length: " + text(data), 1
    )


DAMAGE = {
    "no WARC": lambda data: data.replace(b"WARC/1.0", b"JUNK/1.0"),
    "no link": lambda data: data.replace(b"WARC-Target-URI", b"WARC-Tarxet-URI"),
    "an empty link": lambda data: data.replace(b"https://a.org/1", b""),
    "no length": lambda data: data.replace(b"Content-Length", b"Content-Lxngth", 1),
    "length not a number": with_length(lambda data: b"many"),
    "length below 0": with_length(lambda data: b"-" + length_of(data)),
    "length 0": with_length(lambda data: b"0"),
    "length too small": with_length(lambda data: b"%d" % (int(length_of(data)) - 1)),
    "length too large": with_length(lambda data: b"%d" % (int(length_of(data)) + 1)),
    "length too large by an empty line": with_length(
        lambda data: b"%d" % (int(length_of(data)) + 2)
    ),
    "length far too large": with_length(lambda data: b"9" + length_of(data)),
    "length of many digits": with_length(lambda data: b"9" * 5000),
    "cut off in the text": lambda data: data[:-40] + b"\r\n\r\n",
    "cut off in the header": lambda data: data[:40] + b"\r\n\r\n",
    "nothing but junk": lambda data: b"junk\r\n\r\n",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["conversion", "response"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_record_is_counted_and_the_rest_goes_on(damage, kind, packed):
    data = damaged(DAMAGE[damage], kind, packed)
    assert names(data) == ("02", {"broken record": 1})


MEMBERS = {
    "cut off at once": lambda data: data[:12],
    "cut off in the middle": lambda data: data[: len(data) // 2],
    "cut off before its check": lambda data: data[:-3],
    "a byte changed": lambda data: data[:60] + bytes([data[60] ^ 255]) + data[61:],
    "a wrong check": lambda data: data[:-6] + bytes([data[-6] ^ 255]) + data[-5:],
    "no gzip": lambda data: b"junk" * 10,
}


@pytest.mark.parametrize("damage", MEMBERS)
def test_a_broken_gzip_member_is_counted_and_the_rest_goes_on(damage):
    whole = [record(f"https://a.org/{i}", PROSE.encode(), packed=True) for i in "0123"]
    whole[1] = MEMBERS[damage](whole[1])
    assert names(b"".join(whole)) == ("023", {"broken record": 1})
    # The same at the end of the file.
    ending = b"".join([whole[0], whole[2], whole[1]])
    assert names(ending) == ("02", {"broken record": 1})


@pytest.mark.parametrize("time", [10, 13, 0x0A0D0A0D, 1 << 31])
def test_a_member_of_any_time_is_found_after_a_broken_one(time):
    whole = [
        gzip.compress(record(f"https://a.org/{i}", PROSE.encode()), mtime=time)
        for i in range(3)
    ]
    whole[1] = whole[1][:-3]
    assert names(b"".join(whole)) == ("02", {"broken record": 1})


@pytest.mark.parametrize(
    ("flags", "speed", "system", "name"),
    [(0, 4, 3, b""), (8, 0, 3, b"1.warc\0"), (0, 2, 0, b""), (0, 0, 10, b"")],
    ids=["gzip -1", "with a name", "DOS", "NTFS"],
)
def test_a_member_of_any_program_is_found_after_a_broken_one(
    flags, speed, system, name
):
    whole = []
    for i in range(3):
        data = gzip.compress(record(f"https://a.org/{i}", PROSE.encode()))
        head = data[:3] + bytes([flags]) + data[4:8] + bytes([speed, system])
        whole.append(head + name + data[10:])
    assert gzip.decompress(whole[1]).startswith(b"WARC")
    whole[1] = whole[1][:-3]
    assert names(b"".join(whole)) == ("02", {"broken record": 1})


@pytest.mark.parametrize("version", [b"0.18", b"1.0", b"1.1"])
def test_a_record_of_any_version_is_found_after_a_broken_one(version):
    data = damaged(DAMAGE["length far too large"], "conversion", packed=False)
    data = data.replace(b"WARC/1.0", b"WARC/" + version)
    assert names(data) == ("02", {"broken record": 1})


def test_by_itself_warcio_would_end_there():
    whole = [record(f"https://a.org/{i}", PROSE.encode(), packed=True) for i in "012"]
    whole[1] = whole[1][:-3]
    with pytest.raises(Exception, match="Invalid WARC record"):
        list(ArchiveIterator(io.BytesIO(b"".join(whole))))


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_no_bytes_stop_the_reading_nor_cost_a_neighbour(chance, response, packed):
    def change(data):
        data = bytearray(data)
        for _ in range(chance.randint(1, 5)):
            place = chance.randrange(len(data))
            bits = bytes(chance.randrange(256) for _ in range(chance.randint(0, 3)))
            data[place : place + chance.randint(0, 3)] = bits
        return bytes(data)

    data = damaged(change, "response" if response else "conversion", packed)
    found, _ = names(data)
    assert (found[0], found[-1]) == ("0", "2")


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_a_file_that_is_no_warc_gives_nothing(data):
    for start in (b"", b"\x1f\x8b\x08", b"WARC/1.0\r\n"):
        assert read(start + data)[0] == []


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_gives_nothing_and_counts_nothing(data):
    assert read(data) == ([], {})


# Where a record begins and ends.


def test_records_in_one_gzip_member_are_read():
    data = b"".join(record(f"https://a.org/{i}", b"Cat. " * 9**i) for i in range(3))
    assert names(gzip.compress(data)) == ("012", {})
    assert names(gzip.compress(data)[:-9]) == ("", {"broken record": 1})


def test_in_a_member_a_broken_record_costs_no_neighbour():
    data = damaged(DAMAGE["no length"], "conversion", packed=False)
    assert names(gzip.compress(data)) == ("02", {"broken record": 1})


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: ",
        b"Content-Length:",
        b"X-Content-Length: 1\r\nContent-Length: ",
    ],
    ids=["lower case", "no blank", "after another's"],
)
def test_a_length_is_found_however_it_is_written(head):
    data = record("https://a.org/1", b"One.").replace(b"Content-Length: ", head)
    assert names(data + record("https://a.org/2", b"Two.")) == ("12", {})


def test_a_page_that_quotes_a_record_is_kept_whole_where_members_tell():
    quoted = record("https://b.org/", b"Quoted.")
    body = b"So it reads:\r\n\r\n" + quoted + b"The end."
    found, dropped = read(record("https://a.org/1", body, packed=True))
    assert dropped == {} and found[0].text.encode() == body


def test_a_length_in_the_text_is_not_the_records():
    body = b"Content-Length: 99\n".ljust(99, b"x")
    data = DAMAGE["no length"](record("https://a.org/1", body))
    assert names(data) == ("", {"broken record": 1})


def test_a_page_may_hold_packed_bytes():
    body = b"Attached: " + gzip.compress(b"x") + b" and so on"
    assert names(record("https://a.org/1", body)) == ("1", {})


def test_the_last_record_needs_no_empty_lines_after_it():
    data = record("https://a.org/1", b"One.") + record("https://a.org/2", b"Two.")
    assert names(data[:-4]) == ("12", {})
    assert names(data + b"\r\n") == ("12", {})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_records_may_begin_anywhere_in_what_is_read_at_a_time(
    monkeypatch, packed, chunk
):
    whole = b"".join(
        record(f"https://a.org/{i}", PROSE.encode() * (i + 1), packed=packed)
        for i in range(4)
    )
    monkeypatch.setattr(warc, "_CHUNK", max(chunk, 2))
    assert names(whole) == ("0123", {})


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_that_is_too_long_is_broken(monkeypatch, packed):
    monkeypatch.setattr(warc, "_CHUNK", 100)
    monkeypatch.setattr(warc, "MAX_RECORD", 2000)
    noise = random.Random(0).randbytes(3000)
    bodies = [b"One.", noise, b"Three."]
    data = b"".join(
        record(f"https://a.org/{i}", body, packed=packed)
        for i, body in enumerate(bodies)
    )
    found, dropped = names(data)
    assert found == "02" and dropped["broken record"] >= 1


def test_a_member_that_unpacks_to_too_much_is_broken(monkeypatch):
    monkeypatch.setattr(warc, "MAX_RECORD", 2000)
    bodies = [b"One.", bytes(50_000), b"Three."]
    data = b"".join(
        record(f"https://a.org/{i}", body, packed=True) for i, body in enumerate(bodies)
    )
    assert names(data) == ("02", {"broken record": 1})


def test_a_page_comes_before_the_next_is_read():
    one = record("https://a.org/1", PROSE.encode() * 10)

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return one

    pages = read_warc(Endless(), Tally())
    assert next(pages).name == next(pages).name == "https://a.org/1"


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(ImportError, match=r"web pages needs the extra 'online': run"):
        read(record("https://a.org/1", b"<p>One.</p>", kind="response"))
