"""WebText's recipe: karma, sites, pages, filters and copies, step by step."""

import json
import sys
import time

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcourse.corpora import filters
from gptcourse.corpora.corpus import Corpus, Document
from gptcourse.corpora.filters import Tally
from gptcourse.corpora.pages import webtext
from gptcourse.corpora.pages.webtext import (
    extract_text,
    karma,
    keep,
    outbound_links,
    refused_site,
)

PROSE = "The cat sat on the mat, and nobody knew what it was waiting for. "
FRENCH = "Le chat est assis sur le tapis, et personne ne sait ce que le chat attend. "
FEW = settings(max_examples=25, deadline=None)


def page(text):
    return f"<html><head><title>x</title></head><body><p>{text}</p></body></html>"


def submission(url="https://a.org/x", score=3, **more):
    return json.dumps({"url": url, "score": score, **more})


def links(rows):
    tally = Tally()
    found = list(outbound_links(rows, tally))
    assert tally.kept == len(found)
    return found, dict(tally.dropped)


# Submissions.


def test_a_link_needs_three_karma():
    rows = [submission("https://a.org", 2), submission("https://b.org", 3)]
    assert links(rows) == (["https://b.org"], {"under 3 karma": 1})


@pytest.mark.parametrize(
    "row",
    [
        submission("https://www.reddit.com/r/x/comments/1/x/", is_self=True),
        submission("https://i.redd.it/cat.jpg"),
        submission("https://old.reddit.com/r/x"),
    ],
)
def test_links_into_reddit_are_left_out(row):
    assert links([row]) == ([], {"no link out": 1})


def test_wikipedia_is_left_out_and_so_is_what_is_no_web_link():
    rows = [
        submission("https://en.m.wikipedia.org/wiki/Cat"),
        submission("https://wikipedia.org:8080/"),
        submission("https://notwikipedia.org/"),
        submission("ftp://a.org/file"),
        submission("http://[broken"),
    ]
    assert links(rows) == (
        ["https://notwikipedia.org/"],
        {"Wikipedia": 2, "no web link": 2},
    )


def test_a_link_is_yielded_once():
    assert links([submission()] * 3) == (["https://a.org/x"], {"link seen before": 2})


@pytest.mark.parametrize(
    "broken",
    [
        b'{"url": "https://a.org", "score": 3',
        b"\xff\xfe",
        b"[1, 2]",
        b'"text"',
        b'{"url": "https://a.org"}',
        b'{"url": null, "score": 3}',
        b'{"url": "https://a.org", "score": "3"}',
        b'{"score": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
    ],
    ids=range(9),
)
def test_a_broken_row_is_counted_and_the_rest_goes_on(broken):
    rows = [broken, submission().encode()]
    assert links(rows) == (["https://a.org/x"], {"broken row": 1})


@FEW
@given(st.lists(st.binary(max_size=80)))
def test_no_bytes_stop_the_reading_of_rows(rows):
    found, _ = links([*rows, submission().encode()])
    assert found[-1] == "https://a.org/x"


def test_empty_lines_are_no_rows():
    assert links(["", "\n", submission()]) == (["https://a.org/x"], {})


# Files.

ROWS = [submission(f"https://a.org/{i}").encode() + b"\n" for i in range(3000)]


def packed(data):
    # The window of Pushshift's files, which zstd refuses unless it is told.
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def test_plain_and_packed_files_give_the_same_lines(tmp_path):
    plain, zst, frames = (tmp_path / name for name in ("a.jsonl", "a.zst", "b.zst"))
    plain.write_bytes(b"".join(ROWS))
    zst.write_bytes(packed(b"".join(ROWS)))
    frames.write_bytes(packed(b"".join(ROWS[:9])) + packed(b"".join(ROWS[9:])))
    for path in (plain, zst, frames):
        assert list(webtext.read_lines(path)) == ROWS


def test_a_packed_file_that_is_cut_off_gives_the_lines_before(tmp_path):
    path, data = tmp_path / "a.zst", packed(b"".join(ROWS))
    path.write_bytes(data[: len(data) // 2])
    found, dropped = links(webtext.read_lines(path))
    assert found == [json.loads(row)["url"] for row in ROWS[: len(found)]]
    assert dropped in ({}, {"broken row": 1})


def test_a_file_that_is_not_packed_is_named(tmp_path):
    path = tmp_path / "a.zst"
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"a\.zst is damaged or no zstd file"):
        list(webtext.read_lines(path))


# Pages.


def test_text_is_taken_and_menus_are_left():
    menu = "<nav><ul><li><a href='/'>Home</a></li><li>Login</li></ul></nav>"
    html = page(PROSE * 5).replace("<body>", f"<body>{menu}")
    assert extract_text(html) == (PROSE * 5).strip()
    assert extract_text(html.encode()) == (PROSE * 5).strip()


@pytest.mark.parametrize(
    "html",
    [
        "",
        b"",
        " \n",
        "plain text, no page",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR<" * 100,
        b"PK\3\4<" + bytes(range(256)) * 100,
        "<html></html>",
        "<html><body></body></html>",
        "<!-- " + "x" * 1000,
    ],
    ids=range(9),
)
def test_a_page_without_text_gives_none(html):
    assert extract_text(html) is None


@pytest.mark.parametrize(
    "html",
    [
        "x" * 10_000_000,
        page("word " * 2_000_000),
        "<" * 10_000_000,
        b"<p>" * 3_333_333,
        page("<td>y" * 100_000),
    ],
    ids=["x", "words", "brackets", "paragraphs", "cells"],
)
def test_ten_megabytes_of_one_line_are_refused_at_once(html):
    start = time.process_time()
    assert extract_text(html) is None
    assert time.process_time() - start < 1


def test_a_long_line_within_the_limit_is_read():
    text = extract_text(page(PROSE * 3000))
    assert text == (PROSE * 3000).strip()


STORY = (PROSE * 5).strip()


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        ("c\ud800t", "c\ufffdt"),
        ("c\udffft", "c\ufffdt"),
        ("\ud83d\ude00", "\U0001f600"),
        ("c\0t", "ct"),
        ("c\x01t", "ct"),
        ("c\x1bt", "ct"),
        ("c\uffff\ufffet", "ct"),
        ("c\U0001fffft", "ct"),
        ("c&#0;t", "c\ufffdt"),
        ("c&#xD800;t", "c\ufffdt"),
        ("c&#1;t", "ct"),
        ("c&#x001F;t", "ct"),
        ("c&#12;t", "ct"),
        ("c&#xFFFE;t", "ct"),
        (f"c&#{'9' * 5000};t", None),
        ("c&#105;t&#x65;", "cite"),
    ],
)
def test_a_character_that_cannot_be_kept_costs_no_other(odd, read):
    text = extract_text(page(f"A {odd} sat. {STORY}"))
    if read is None:
        assert text.startswith("A c") and text.endswith(STORY)
    else:
        assert text == f"A {read} sat. {STORY}"


@pytest.mark.parametrize("odd", [b"\0", b"\x01"])
def test_nor_does_it_in_bytes(odd):
    html = page(f"A c?t sat. {STORY}").encode().replace(b"?", odd, 1)
    assert extract_text(html) == f"A ct sat. {STORY}"


def attributes(n):
    """Many attributes in one tag, in the ways in which HTML lets them follow."""
    return {
        "unquoted": " ".join(f"a{i}=1" for i in range(n)),
        "quoted": " ".join(f'a{i}="x > y"' for i in range(n)),
        "close": "".join(f"a{i}='1'" for i in range(n)),
        "bare": " ".join(f"a{i}" for i in range(n)),
        "slashes": "/".join(f"a{i}" for i in range(n)),
        "a name that begins like a value": '="a '
        + " ".join(map("a{}".format, range(n))),
    }


@pytest.mark.parametrize("kind", attributes(0))
def test_a_tag_of_very_many_attributes_is_read_in_linear_time(kind):
    times = []
    for n in (15_000, 60_000):
        html = page(STORY).replace("<p>", f"<p {attributes(n)[kind]}>")
        start = time.process_time()
        assert extract_text(html) == STORY
        times.append(time.process_time() - start)
    # Quadratic time would be 16 times as much, and 4 s where linear is 0.03.
    assert times[1] < 8 * times[0] + 0.5


@pytest.mark.parametrize(
    "markup",
    [
        f"<script>for (i=0; i<n; i++) x = {list(range(5000))}</script>",
        f"<!-- a <b {'word ' * 3000}-->",
        f"<style>a <b {'word ' * 3000}</style>",
        f"""<div data-x='{json.dumps(["a > b"] * 3000)}'></div>""",
        f'<img src="data:image/png;base64,{"A" * 300_000}">',
    ],
    ids=["script", "comment", "style", "json", "picture"],
)
def test_what_only_looks_like_many_attributes_takes_no_text_with_it(markup):
    html = page(STORY).replace("<p>", f"{markup}<p>")
    assert extract_text(html) == STORY


@pytest.mark.parametrize("n", [250, 1_000, 8_000])
@pytest.mark.parametrize("names", ["div", "b", "ul li", "blockquote", "section SPAN"])
def test_text_is_found_however_deep_it_lies(n, names):
    names = names.split()
    opened = "".join(f"<{name} id=x>" for name in names) * n
    closed = "".join(f"</{name}>" for name in reversed(names)) * n
    html = f"<html><body><p>{PROSE}</p>{opened}<p>{STORY}</p>{closed}</body></html>"
    assert STORY in extract_text(html)


@pytest.mark.parametrize("opened", ["<b>", "<p><b>", "<p><font color=red>"])
def test_elements_that_are_never_closed_hide_nothing(opened):
    parts = [f"Number {i}. {PROSE}" for i in range(1000)]
    text = extract_text(f"<html><body>{opened}{opened.join(parts)}</body></html>")
    assert [i for i in range(1000) if f"Number {i}. {PROSE.strip()}" not in text] == []


def test_text_after_what_lies_deep_is_kept():
    deep = "<div>" * 300 + "<p>In the middle of it.</p>" + "</div>" * 300
    text = extract_text(f"<html><body>{deep}<p>{STORY}</p></body></html>")
    assert text.split("\n") == ["In the middle of it.", STORY]


@FEW
@given(st.binary(max_size=200), st.text(max_size=200))
def test_no_page_stops_the_pipeline(data, text):
    for html in (data, b"<html><body>" + data, f"<html><body>{text}"):
        assert isinstance(extract_text(html), str | None)


def test_the_missing_extra_is_named(monkeypatch, tmp_path):
    for module in ("trafilatura", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.zst").write_bytes(b"")
    for call in (
        lambda: extract_text(page(PROSE)),
        lambda: list(webtext.read_lines(tmp_path / "a.zst")),
    ):
        with pytest.raises(
            ImportError, match=r"need.? the extra 'online': run .*\[online\]"
        ):
            call()


# Filters.


def filtered(texts, *chosen):
    tally = Tally()
    documents = [Document("a", str(i), text) for i, text in enumerate(texts)]
    return [d.name for d in keep(documents, chosen, tally)], dict(tally.dropped)


def test_short_texts_are_dropped():
    texts = ["word " * 49, "word " * 50, "404 " * 200]
    assert filtered(texts, filters.too_short) == (["1"], {"too short": 2})


@pytest.mark.parametrize(
    "text",
    [
        FRENCH,
        "Die Katze saß auf der Matte, und niemand wusste, worauf sie wartete.",
        "El gato se sentó en la alfombra y nadie sabía qué estaba esperando.",
        "猫坐在垫子上,没人知道它在等什么。",
        "Buy now! Cheap watches, watches, watches, bags, shoes, watches!",
        "",
    ],
)
def test_texts_in_no_english_are_dropped(text):
    assert filtered([text], filters.not_english) == ([], {"not English": 1})


def test_english_is_kept():
    docstring = "Return the mean of the array along the axis that is given."
    assert filtered([PROSE, docstring], filters.not_english) == (["0", "1"], {})


def test_copies_are_found_through_case_signs_and_space():
    texts = [
        "To be, or not.",
        "to  be\nor not",
        "To be or not to be.",
        "To be, or not.",
    ]
    assert filtered(texts, filters.ExactCopies()) == (["0", "2"], {"exact copy": 2})


def test_a_document_is_dropped_for_the_first_reason_alone():
    texts = ["Non.", "Non."]
    both = filters.too_short, filters.ExactCopies()
    assert filtered(texts, *both) == ([], {"too short": 2})


def test_nothing_is_read_before_it_is_asked_for():
    def endless():
        while True:
            yield Document("a", "x", PROSE * 10)

    tally = Tally()
    next(keep(endless(), [filters.too_short], tally))
    assert tally.kept == 1


# Karma of documents.

LINKED = Corpus(
    [
        Document("a", "hub", "Text.", ("hub", "x", "x", "elsewhere")),
        Document("a", "x", "Text.", ("hub", "y")),
        Document("a", "y", "Text.", ("hub", "x")),
        Document("a", "z", "Text.", ("hub",)),
    ]
)


def test_karma_counts_the_other_documents_that_link():
    assert karma(LINKED) == {"hub": 3, "x": 2, "y": 1, "z": 0}


def test_documents_with_three_links_to_them_are_kept():
    tally = Tally()
    liked = webtext.well_liked(karma(LINKED))
    assert [d.name for d in keep(LINKED.documents, [liked], tally)] == ["hub"]
    assert tally.rows() == [("kept", 1), ("under 3 karma", 3)]


# The whole.


def test_the_recipe_counts_every_page_once():
    pages = [
        ("https://a.org/cat", page(PROSE * 10)),
        ("https://b.org/copy", page(PROSE.upper() * 10)),
        ("https://b.org/french", page(FRENCH * 10)),
        ("https://b.org/short", page(PROSE * 3)),
        ("https://de.wikipedia.org/wiki/Katze", page(PROSE * 30)),
        ("https://c.org/cat.png", b"\x89PNG\0"),
    ]
    tally = Tally()
    found = list(webtext.read_pages(pages, tally))
    text = (PROSE * 10).strip()
    assert found == [Document("a.org", "https://a.org/cat", text)]
    reasons = ["exact copy", "not English", "too short", "Wikipedia"]
    expected = dict.fromkeys([*reasons, "no text in the page"], 1)
    assert (tally.kept, dict(tally.dropped)) == (1, expected)


@pytest.mark.parametrize("host", ["en.wikipedia.org", "old.reddit.com"])
def test_pages_of_wikipedia_and_reddit_are_not_even_read(monkeypatch, host):
    monkeypatch.setattr(webtext, "extract_text", lambda html: 1 / 0)
    pages = [(f"https://{host}/wiki/Cat", page(PROSE))]
    assert list(webtext.read_pages(pages, Tally())) == []


def test_a_final_dot_does_not_hide_a_site():
    assert refused_site("https://en.wikipedia.org./wiki/Cat") == "Wikipedia"


@pytest.mark.parametrize(
    "attributes",
    [
        " ".join(f"a{i}</b" for i in range(49_000)),
        " ".join(f"a{i}" + "</b" * (i % 900 == 0) for i in range(60_000)),
        " ".join("a=x</b" for _ in range(49_000)),
    ],
)
def test_a_tag_that_cannot_be_cut_costs_no_time(attributes):
    start = time.process_time()
    assert extract_text(f"<body><p {attributes}>{PROSE * 9}</p></body>") is None
    assert time.process_time() - start < 2


def test_a_long_drawing_costs_no_text():
    path = " ".join("1 2" for _ in range(9_000))
    html = f'<body><svg><path d="M {path}"></path></svg><p>{PROSE * 9}</p></body>'
    assert PROSE.strip() in extract_text(html)


@pytest.mark.parametrize("order", ["le", "be"])
def test_a_lone_half_in_utf_16_costs_no_text(order):
    html = page(PROSE * 9 + "c\ud800t")
    data = ("\ufeff" + html).encode(f"utf-16-{order}", "surrogatepass")
    assert extract_text(data).endswith("c\ufffdt")
