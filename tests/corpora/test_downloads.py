"""Downloads, from files on this disk and without a network."""

import errno
import json
import socket
import sys
import time
from types import ModuleType

import pytest

from gptcourse.corpora import downloads
from gptcourse.corpora.downloads import SETS, download

WIKI = [
    "",
    " = One = \n",
    "",
    " First . \n",
    " = = Part = = \n",
    " More . \n",
    " = Two = \n",
]
ROWS = {"tinystories": ["Once.", " ", "Twice.", "Thrice."], "wikitext-2": WIKI}


@pytest.fixture
def local(tmp_path, monkeypatch):
    """The sets as JSON lines on this disk, which `datasets` reads as it does others."""
    pytest.importorskip("datasets")
    for name, rows in ROWS.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps({"text": row}) for row in rows))
        files = {"train": str(path), "validation": str(path)}
        place = {
            "path": "json",
            "data_files": files,
            "cache_dir": str(tmp_path / "cache"),
        }
        monkeypatch.setitem(SETS, name, place)


def test_rows_become_documents_and_blank_ones_are_left_out(local):
    corpus = download("tinystories")
    assert [(d.source, d.name, d.text) for d in corpus.documents] == [
        ("tinystories", "train.0", "Once."),
        ("tinystories", "train.2", "Twice."),
        ("tinystories", "train.3", "Thrice."),
    ]


def test_lines_of_wikitext_become_articles(local):
    corpus = download("wikitext-2", "validation")
    assert [d.name for d in corpus.documents] == ["validation.One", "validation.Two"]
    assert corpus.documents[0].text == "= One =\n\nFirst .\n= = Part = =\nMore ."


def test_no_more_documents_are_read_than_asked_for(local):
    assert len(download("tinystories", max_documents=2)) == 2


def test_a_set_may_be_streamed(local, monkeypatch):
    monkeypatch.setitem(SETS["tinystories"], "streaming", True)
    assert len(download("tinystories", max_documents=2)) == 2


def test_an_unknown_split_is_refused_with_the_known_ones(local):
    with pytest.raises(ValueError, match=r'Unknown split "test".*train.*validation'):
        download("tinystories", "test")


def _install(monkeypatch, load_dataset):
    module = ModuleType("datasets")
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_a_place_on_the_hub_and_only_the_largest_is_streamed(
    name, monkeypatch
):
    asked = {}

    def load_dataset(path, name=None, *, split, streaming=False, revision=None):
        asked.update(path=path, split=split, streaming=streaming)
        yield {"text": "Some text."}

    _install(monkeypatch, load_dataset)
    assert download(name, "validation").texts() == ["Some text."]
    assert asked["path"].count("/") == 1
    assert asked["split"] == "validation"
    assert asked["streaming"] == (name == "fineweb")


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no training set 'pile'; known are 'tiny_sh"):
        download("pile")


def test_fewer_than_one_document_is_refused():
    with pytest.raises(ValueError, match="max_documents=0: ask for at least one"):
        download("fineweb", max_documents=0)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ImportError, match=r"extra 'online': run pip install .*\[online\]"
    ):
        download("tinystories")


def test_without_a_network_the_librarys_own_error_becomes_one_line(
    monkeypatch, tmp_path
):
    datasets = pytest.importorskip("datasets")

    def refuse(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the retries
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(ConnectionError) as caught:
        download("tiny_shakespeare")
    message = str(caught.value)
    assert message.startswith("cannot download 'tiny_shakespeare': no network;")
    assert "\n" not in message
    assert caught.value.__suppress_context__


def test_a_network_lost_while_streaming_is_reported_likewise(monkeypatch):
    def load_dataset(**_):
        yield {"text": "A page."}
        raise ConnectionError("Server Disconnected")  # as `datasets` says it

    _install(monkeypatch, load_dataset)
    with pytest.raises(ConnectionError, match="cannot download 'fineweb': no network"):
        download("fineweb")


def test_a_full_disk_is_not_called_a_missing_network(monkeypatch):
    def load_dataset(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    _install(monkeypatch, load_dataset)
    with pytest.raises(OSError, match="No space left on device") as caught:
        download("tinystories")
    assert not isinstance(caught.value, ConnectionError)


def test_the_table_is_what_the_documentation_lists():
    listed = downloads.download.__doc__
    assert all(f'"{name}"' in listed for name in SETS)
