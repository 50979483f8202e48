"""Python's documentation as a corpus, and the cache that it is kept in."""

import errno
import gzip
import importlib
import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcourse import corpora
from gptcourse.corpora import docstrings
from gptcourse.corpora.corpus import Corpus, Document

documentation = corpus_cache = module = importlib.import_module(
    "gptcourse.corpora.python_docs"
)
LONG = "Return something long enough to be kept among the documents of a corpus. "
FILES = {
    "stdlib/pydoc_data/topics.py": (
        f"topics = {{'if': 'The if statement. {LONG}', 'for': 'The loop. {LONG}'}}"
    ),
    "stdlib/pydoc.py": (
        "class Helper:\n"
        "    keywords = {'if': ('if', 'LOOPS'), 'elif': 'if'}\n"
        "    topics = {'LOOPS': ('for', 'elif')}\n"
    ),
    "stdlib/json/__init__.py": "from .decoder import load\nraise SystemError\n",
    "stdlib/json/decoder.py": f"def load():\n    '''Load it. {LONG}'''\n",
    "stdlib/test/test_json.py": f"'''A test. {LONG}'''",
    "numpy/__init__.py": "from ._core import mean\nraise SystemError\n",
    "numpy/_core.py": (
        f"def mean():\n    '''Mean. {LONG}\n\n    See Also\n    --------\n"
        f"    std : Spread.\n    '''\ndef short():\n    '''Short.'''\n"
        f"add_newdoc('numpy', 'std', '''Spread. {LONG}''')\n"
    ),
    "matplotlib/__init__.py": (
        f"class Axes:\n    '''Axes. {LONG}\n    %(Axes:kwdoc)s\n    '''\n"
        f"    def plot(self):\n        '''Axes. {LONG}'''\n"
    ),
    "torch/__init__.py": "import missing_module\n",
    "torch/_torch_docs.py": (
        "common_args = parse_kwargs('''\n    input (Tensor): the input tensor.\n''')\n"
        f"add_docstr(torch.abs, '''Size. {LONG}\n\nArgs:\n    {{input}}\n'''"
        ".format(**common_args))\n"
    ),
    "torch/broken.py": "'''Broken.''' def",
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Small packages that stand where the installed ones do; importing them fails."""
    for name, source in FILES.items():
        path = tmp_path / "installed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    for module in (docstrings, documentation):
        monkeypatch.setattr(
            module, "package_root", lambda package: tmp_path / "installed" / package
        )
    monkeypatch.setenv("GPTCOURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def corpus(installed):
    return corpora.python_docs()


def test_documents_are_named_as_readers_know_them_and_ordered_by_source(corpus):
    assert [(d.source, d.name) for d in corpus.documents] == [
        ("matplotlib", "matplotlib.Axes"),
        ("numpy", "numpy.mean"),
        ("numpy", "numpy.std"),
        ("python topics", "topics.for"),
        ("python topics", "topics.if"),
        ("stdlib", "json.load"),
        ("torch", "torch.abs"),
    ]


def test_documents_link_to_what_they_name(corpus):
    links = {d.name: d.links for d in corpus.documents if d.links}
    assert links == {
        "numpy.mean": ("numpy.std",),
        "topics.if": ("topics.for",),
        "topics.for": ("topics.if",),
    }


def test_gaps_in_docstrings_are_filled_or_removed(corpus):
    texts = {d.name: d.text for d in corpus.documents}
    assert texts["torch.abs"].endswith("Args:\n    input (Tensor): the input tensor.")
    assert texts["matplotlib.Axes"] == f"Axes. {LONG}".rstrip()


def test_a_second_call_reads_the_cache_only(corpus, monkeypatch):
    monkeypatch.setattr(documentation, "read_documentation", lambda: 1 / 0)
    again = corpora.python_docs()
    assert again == corpus
    assert again.groups == corpus.groups is not None


def test_two_builds_are_the_same_to_the_byte(installed):
    saved = []
    for _ in range(2):
        corpora.python_docs()
        path = installed / "cache" / "python_docs.jsonl.gz"
        saved.append(path.read_bytes())
        path.unlink()
    assert saved[0] == saved[1]


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path):
    path.write_bytes(b"")


def _forge(path):
    """Change a text and leave its checksum, in a file that is otherwise whole."""
    body = gzip.decompress(path.read_bytes()).replace(b"Mean.", b"MEAN.")
    path.write_bytes(gzip.compress(body))


def _no_json(path):
    path.write_bytes(gzip.compress(b"[" * 10 + b"\n"))


@pytest.mark.parametrize("damage", [_truncate, _empty, _forge, _no_json])
def test_a_damaged_cache_is_built_again(installed, corpus, damage):
    path = installed / "cache" / "python_docs.jsonl.gz"
    whole = path.read_bytes()
    damage(path)
    assert corpora.python_docs() == corpus
    assert path.read_bytes() == whole


def test_a_cache_of_other_versions_is_built_again(corpus, monkeypatch):
    older = {**module._fingerprint(), "numpy": "1.0"}
    path = corpus_cache.cache_folder() / "python_docs.jsonl.gz"
    corpus_cache.save(path, older, Corpus([Document("a", "old", "Old.")], [0]))
    assert corpora.python_docs() == corpus


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_gives_another_corpus(tmp_path_factory, place, bit):
    path = tmp_path_factory.getbasetemp() / "flipped.gz"
    corpus = Corpus([Document("a", "x", "Some text."), Document("b", "y", "z")], [0, 1])
    corpus_cache.save(path, {"python": "3"}, corpus)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    assert corpus_cache.load(path, {"python": "3"}) in (None, corpus)


def test_a_folder_that_cannot_be_written_costs_a_warning_only(installed, monkeypatch):
    (installed / "file").write_text("")
    monkeypatch.setenv("GPTCOURSE_CACHE", str(installed / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot keep the corpus in .*GPTCOURSE_CACHE"):
        corpus = corpora.python_docs()
    assert len(corpus) == 7


def test_a_full_disk_leaves_the_old_cache_whole(installed, corpus, monkeypatch):
    def full(descriptor, mode):
        os.close(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    path = installed / "cache" / "python_docs.jsonl.gz"
    before = path.read_bytes()
    monkeypatch.setattr(module, "_fingerprint", lambda: {"python": "4"})
    monkeypatch.setattr(os, "fdopen", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert corpora.python_docs() == corpus
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_cache_is_plain_json_lines(installed, corpus):
    data = gzip.decompress((installed / "cache" / "python_docs.jsonl.gz").read_bytes())
    header, *rows = map(json.loads, data.splitlines())
    assert header["format"] == corpus_cache.FORMAT
    assert [row[1] for row in rows] == [d.name for d in corpus.documents]


def test_reading_imports_none_of_the_packages():
    code = (
        "import importlib, sys;"
        "d = importlib.import_module('gptcourse.corpora.python_docs');"
        "d.SOURCES = ('matplotlib',); print(len(d.read_documentation()) > 1000,"
        " 'matplotlib' in sys.modules, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert out.stdout.split() == ["True", "False", "False"], out.stderr


@pytest.fixture(scope="module")
def real():
    """The corpus of the installed packages, from the reader's own cache if there."""
    return corpora.python_docs()


def test_the_real_corpus_is_megabytes_from_every_source(real):
    sources = real.sources
    assert list(sources) == sorted(["python topics", "stdlib", *docstrings.PACKAGES])
    assert 7e6 < sum(source.bytes for source in sources.values()) < 14e6
    assert min(source.bytes for source in sources.values()) > 300_000


def test_the_real_corpus_has_no_two_equal_names_or_texts(real):
    assert len({d.name for d in real.documents}) == len(real)
    assert len({d.text for d in real.documents}) == len(real)
    assert min(len(d.text) for d in real.documents) >= documentation.MIN_CHARACTERS


def test_the_real_links_lead_to_documents_and_some_are_popular(real):
    popular = Counter(link for d in real.documents for link in d.links)
    assert set(popular) <= {d.name for d in real.documents}
    assert sum(count >= 3 for count in popular.values()) > 300
    assert all(d.name not in d.links for d in real.documents)
