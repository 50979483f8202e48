"""Python's documentation as a corpus, and the cache that it is kept in."""

import errno
import gzip
import importlib
import json
import logging
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcourse import corpora
from gptcourse.corpora import docstrings
from gptcourse.corpora.corpus import Corpus, Document

module = importlib.import_module("gptcourse.corpora.python_docs")
LONG = "Return something long enough to be kept among the documents of a corpus. "
FILES = {
    "stdlib/json/__init__.py": "from .decoder import load\nraise SystemError\n",
    "stdlib/json/decoder.py": f"def load():\n    '''Load it. {LONG}'''\n",
    "stdlib/test/test_json.py": f"'''A test. {LONG}'''",
    "numpy/__init__.py": "from ._core import mean, std\nraise SystemError\n",
    "numpy/_core/__init__.py": (
        f"def mean():\n    '''Mean. {LONG}\n\n    See Also\n    --------\n"
        f"    std : Spread.\n    '''\ndef short():\n    '''Short.'''\n"
    ),
    "numpy/_core/_add_newdocs.py": (
        f"add_newdoc('numpy._core', 'std', '''Spread. {LONG}''')\n"
    ),
    "matplotlib/__init__.py": (
        f"class Axes:\n    '''Axes. {LONG}\n    %(Axes:kwdoc)s\n    '''\n"
        f"    def plot(self):\n        '''Axes. {LONG}'''\n"
    ),
    "torch/__init__.py": "from torch._C import *\n",
    "torch/_C/__init__.pyi": (
        f"def abs(x):\n    '''Short stub. {LONG}'''\n"
        f"def abs(x, y):\n    '''The longer stub. {LONG}'''\n"
        f"class TensorBase:\n    def add_(self):\n"
        f"        '''Like `torch.abs`. {LONG}'''\n"
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
    monkeypatch.setattr(
        docstrings, "package_root", lambda package: tmp_path / "installed" / package
    )
    topics = {
        "topics.if": f'The if statement, unlike the "for" statement. {LONG}',
        "topics.for": f"The loop. {LONG}",
    }
    monkeypatch.setattr(module, "help_topics", lambda: topics)
    monkeypatch.setenv("GPTCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
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
        ("torch", "torch.Tensor.add_"),
        ("torch", "torch.abs"),
    ]


def test_documents_link_to_what_they_name(corpus):
    links = {d.name: d.links for d in corpus.documents if d.links}
    assert links == {
        "numpy.mean": ("numpy.std",),
        "topics.if": ("topics.for",),
        "torch.Tensor.add_": ("torch.abs",),
    }


def test_of_several_texts_of_a_name_the_longest_is_kept_without_gaps(corpus):
    texts = {d.name: d.text for d in corpus.documents}
    assert texts["torch.abs"].startswith("The longer stub.")
    assert texts["matplotlib.Axes"] == f"Axes. {LONG}".rstrip()


# The cache.


def cached(folder):
    return folder / "cache" / "python_docs.jsonl.gz"


def test_a_second_call_reads_the_cache_only(corpus, monkeypatch):
    monkeypatch.setattr(module, "read_documentation", lambda: 1 / 0)
    again = corpora.python_docs()
    assert again == corpus
    assert again.groups == corpus.groups is not None


def test_two_builds_are_the_same_to_the_byte(installed):
    saved = []
    for _ in range(2):
        corpora.python_docs()
        saved.append(cached(installed).read_bytes())
        cached(installed).unlink()
    assert saved[0] == saved[1]


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path):
    path.write_bytes(b"")


def _forge(path):
    """Change a text as a failing disk would, and leave the checksum of the whole."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _body(body):
    def damage(path):
        header = gzip.decompress(path.read_bytes()).splitlines()[0]
        path.write_bytes(gzip.compress(header + b"\n" + body))

    return damage


def _header(path):
    path.write_bytes(gzip.compress(b"[" * 100_000))


DEEP = b"[" * 100_000 + b"]" * 100_000
DAMAGES = [_truncate, _empty, _forge, _header, _body(DEEP), _body(b"{}"), _body(b"[1]")]


@pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_cache_is_built_again(installed, corpus, damage):
    whole = cached(installed).read_bytes()
    damage(cached(installed))
    assert corpora.python_docs() == corpus
    assert cached(installed).read_bytes() == whole


def test_a_cache_of_other_versions_is_built_again(installed, corpus):
    older = {**module._fingerprint(), "numpy": "1.0"}
    folder = cached(installed).parent
    module.save([folder], older, Corpus([Document("a", "old", "Old.")], [0]))
    assert corpora.python_docs() == corpus


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_gives_another_corpus(tmp_path_factory, place, bit):
    folder = tmp_path_factory.getbasetemp()
    corpus = Corpus([Document("a", "x", "Some text."), Document("b", "y", "z")], [0, 1])
    module.save([folder], {"python": "3"}, corpus)
    path = folder / module.FILE
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    assert module.load(path, {"python": "3"}) in (None, corpus)


def test_the_home_folder_may_be_written_as_a_tilde(installed, monkeypatch):
    monkeypatch.chdir(installed)
    monkeypatch.setenv("HOME", str(installed / "home"))
    monkeypatch.setenv("USERPROFILE", str(installed / "home"))
    monkeypatch.setenv("GPTCOURSE_CACHE", "~/kept")
    corpora.python_docs()
    assert (installed / "home" / "kept" / module.FILE).exists()
    assert not (installed / "~").exists()


@pytest.mark.parametrize("named", [None, "~/kept", "~nobody-of-that-name/kept"])
def test_without_a_home_folder_nothing_is_kept_and_a_warning_says_so(
    installed, monkeypatch, named
):
    def unknown(_):
        raise KeyError("getpwuid(): uid not found")

    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(installed)
    for name in ("HOME", "XDG_CACHE_HOME", "GPTCOURSE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if named:
        monkeypatch.setenv("GPTCOURSE_CACHE", named)
    before = set(installed.iterdir())
    with pytest.warns(UserWarning) as caught:
        assert len(corpora.python_docs()) == 8
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "no home folder" in message and "GPTCOURSE_CACHE" in message
    assert "\n" not in message
    assert set(installed.iterdir()) == before
    assert not list((installed / "temporary").iterdir())


def test_a_process_of_a_user_without_an_entry_goes_on(tmp_path):
    """The same in earnest: a number that no user has, in a process of its own."""
    if not hasattr(os, "setuid") or os.getuid() != 0:
        pytest.skip("only root may become another user")
    code = (
        "import importlib, os, warnings\n"
        "m = importlib.import_module('gptcourse.corpora.python_docs')\n"
        "os.environ.pop('HOME', None); os.environ.pop('GPTCOURSE_CACHE', None)\n"
        "os.environ.pop('XDG_CACHE_HOME', None); os.setuid(54321)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('default')\n"
        "    print(m.cache_folders(), [str(w.message)[:14] for w in caught])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] ['no home folder']"


@pytest.fixture
def unwritable(installed, monkeypatch):
    """A cache below a file: nobody, not even root, can make it."""
    (installed / "file").write_text("")
    monkeypatch.setenv("GPTCOURSE_CACHE", str(installed / "file" / "cache"))
    return installed


def spare(folder):
    return folder / "temporary" / f"gptcourse-{os.getuid()}"


def test_a_folder_that_cannot_be_written_gives_way_to_a_private_temporary_one(
    unwritable, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = corpora.python_docs()
    assert spare(unwritable).stat().st_mode & 0o777 == 0o700
    assert [record.levelname for record in caplog.records] == ["INFO"]
    monkeypatch.setattr(module, "read_documentation", lambda: 1 / 0)
    assert corpora.python_docs() == corpus


def _by_link(folder):
    (folder / "elsewhere").mkdir(mode=0o700)
    spare(folder).symlink_to(folder / "elsewhere")


def _open_to_others(folder):
    spare(folder).mkdir()
    spare(folder).chmod(0o777)


def _of_another(folder):
    spare(folder).mkdir(mode=0o700)
    os.chown(spare(folder), 54321, 54321)


@pytest.mark.parametrize("trap", [_by_link, _open_to_others, _of_another])
def test_a_temporary_folder_that_others_can_write_is_not_trusted(unwritable, trap):
    if trap is _of_another and os.getuid() != 0:
        pytest.skip("only root may give a folder away")
    trap(unwritable)
    forged = Corpus([Document("a", "forged", "Forged.")], [0])
    module.save([spare(unwritable)], module._fingerprint(), forged)
    with pytest.warns(UserWarning, match="cannot keep the corpus in .*GPTCOURSE_CACHE"):
        assert len(corpora.python_docs()) == 8


def test_where_the_temporary_folder_fails_too_a_warning_names_the_first(
    unwritable, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(unwritable / "file"))
    named = "cannot keep the corpus in .*file.cache .*GPTCOURSE_CACHE"
    with pytest.warns(UserWarning, match=named) as caught:
        assert len(corpora.python_docs()) == 8
    assert len(caught) == 1


def test_a_full_disk_leaves_the_old_cache_whole(installed, corpus, monkeypatch):
    def full(self, data):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    before = cached(installed).read_bytes()
    monkeypatch.setattr(module, "_fingerprint", lambda: {"python": "4"})
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert corpora.python_docs() == corpus
    assert cached(installed).read_bytes() == before
    assert os.listdir(cached(installed).parent) == [module.FILE]


def test_the_cache_is_plain_json_lines(installed, corpus):
    lines = gzip.decompress(cached(installed).read_bytes()).splitlines()
    header, *rows = map(json.loads, lines)
    assert header["numpy"] == importlib.metadata.version("numpy")
    assert [row[1] for row in rows] == [d.name for d in corpus.documents]


# The real thing.


def test_help_topics_are_those_of_pydoc():
    topics = importlib.import_module("pydoc_data.topics").topics
    assert module.help_topics().keys() == {f"topics.{name}" for name in topics}


def test_reading_imports_none_of_the_packages():
    code = (
        "import importlib, sys;"
        "d = importlib.import_module('gptcourse.corpora.python_docs');"
        "d.PACKAGES = ('matplotlib',); print(len(d.read_documentation()) > 1000,"
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
    assert list(sources) == sorted([module.TOPICS, "stdlib", *module.PACKAGES])
    assert 9e6 < sum(source.bytes for source in sources.values()) < 14e6
    assert min(source.bytes for source in sources.values()) > 300_000


def test_the_real_corpus_has_no_two_equal_names_or_texts(real):
    assert len({d.name for d in real.documents}) == len(real)
    assert len({d.text for d in real.documents}) == len(real)
    assert min(len(d.text) for d in real.documents) >= module.MIN_CHARACTERS


def test_names_that_every_reader_knows_are_in_the_real_corpus(real):
    known = {"numpy.mean", "numpy.ndarray", "torch.nn.Linear", "torch.matmul"}
    known |= {"json.load", "matplotlib.axes.Axes.plot", "torch.Tensor.view", "random"}
    assert known <= {d.name for d in real.documents}


def test_the_real_links_lead_to_documents_and_some_are_popular(real):
    popular = Counter(link for d in real.documents for link in d.links)
    assert set(popular) <= {d.name for d in real.documents}
    assert sum(count >= 3 for count in popular.values()) > 650
    assert all(d.name not in d.links for d in real.documents)
