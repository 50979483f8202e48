"""Downloads, against small sets on this disk and without a network."""

import errno
import json
import socket
import sys
import time
from types import ModuleType

import pytest

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
ROWS = {
    "karpathy/tiny_shakespeare": ["First Citizen:\nSpeak.\n"],
    "roneneldan/TinyStories": ["Once.", " ", "Twice.", "Thrice."],
    "Salesforce/wikitext": WIKI,
    "HuggingFaceFW/fineweb": ["A page."],
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A `datasets` that reads the Hub's sets from JSON lines in a folder."""
    calls = []

    def load_dataset(repository, configuration, *, split, streaming):
        calls.append((repository, configuration, split, streaming))
        with open(tmp_path / f"{repository.partition('/')[2]}.jsonl") as file:
            yield from map(json.loads, file)

    for repository, rows in ROWS.items():
        lines = (json.dumps({"text": row}) for row in rows)
        path = tmp_path / f"{repository.partition('/')[2]}.jsonl"
        path.write_text("\n".join(lines))
    _install(monkeypatch, load_dataset)
    return calls


def _install(monkeypatch, load_dataset):
    module = ModuleType("datasets")
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_rows_become_documents_and_blank_ones_are_left_out(hub):
    corpus = download("tinystories")
    assert [(d.source, d.name, d.text) for d in corpus.documents] == [
        ("tinystories", "train.0", "Once."),
        ("tinystories", "train.2", "Twice."),
        ("tinystories", "train.3", "Thrice."),
    ]


def test_lines_of_wikitext_become_articles(hub):
    corpus = download("wikitext-2", "validation")
    assert [d.name for d in corpus.documents] == ["validation.One", "validation.Two"]
    assert corpus.documents[0].text == "= One =\n\nFirst .\n= = Part = =\nMore ."


def test_no_more_documents_are_read_than_asked_for(hub):
    assert len(download("tinystories", max_documents=2)) == 2


@pytest.mark.parametrize("name", SETS)
def test_every_set_is_asked_for_by_its_place_on_the_hub(hub, name):
    assert len(download(name)) > 0
    repository, _, split, streamed = hub[0]
    assert repository in ROWS
    assert split == "train"
    assert streamed == (name == "fineweb")


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no training set 'pile'; known are 'tiny_sh"):
        download("pile")


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match="'fineweb' has no split 'test'; it has 'train'"
    ):
        download("fineweb", "test")


def test_fewer_than_one_document_is_refused():
    with pytest.raises(ValueError, match="max_documents=0: ask for at least one"):
        download("fineweb", max_documents=0)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ImportError, match=r"extra 'online': run pip install .*\[online\]"
    ):
        download("tinystories")


@pytest.fixture
def no_sockets(monkeypatch):
    def refuse(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def unreachable(*_, **__):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the retries


def test_without_a_network_the_hubs_own_error_becomes_one_line(
    no_sockets, monkeypatch, tmp_path
):
    hub = pytest.importorskip("huggingface_hub")

    def load_dataset(repository, *_, **__):
        path = hub.hf_hub_download(
            repository, "README.md", repo_type="dataset", cache_dir=tmp_path
        )
        return [{"text": path}]

    _install(monkeypatch, load_dataset)
    with pytest.raises(ConnectionError) as caught:
        download("tiny_shakespeare")
    message = str(caught.value)
    assert message.startswith("cannot download 'tiny_shakespeare': no network;")
    assert "\n" not in message
    assert caught.value.__suppress_context__


def test_a_network_lost_while_streaming_is_reported_likewise(monkeypatch):
    def load_dataset(*_, **__):
        yield {"text": "A page."}
        raise RuntimeError("stream broke") from TimeoutError("timed out")

    _install(monkeypatch, load_dataset)
    with pytest.raises(ConnectionError, match="cannot download 'fineweb': no network"):
        download("fineweb")


def test_a_full_disk_is_not_called_a_missing_network(monkeypatch):
    def load_dataset(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    _install(monkeypatch, load_dataset)
    with pytest.raises(OSError, match="No space left on device") as caught:
        download("tinystories")
    assert not isinstance(caught.value, ConnectionError)
