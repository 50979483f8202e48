"""The pipeline of many tasks keeps what the plain iterators keep."""

import gzip
import importlib.util
import itertools
import json
import random
import sys

import pytest

from gptcourse.corpora.filters import Tally
from gptcourse.corpora.pages.crawl import drop_near_copies, like_curated, train_quality
from gptcourse.corpora.pages.pipeline import crawl_stages
from gptcourse.corpora.pages.warc import read_warc
from gptcourse.corpora.pages.webtext import keep

SCALE = all(importlib.util.find_spec(name) for name in ("datatrove", "orjson"))
needs_scale = pytest.mark.skipif(not SCALE, reason="needs the extra 'scale': datatrove")

choose = random.Random(0)
WORDS = [f"word{i}" for i in range(3000)]


def text(n=60):
    return " ".join(choose.choices(WORDS, k=n))


def record(link, body):
    head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {link}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    return gzip.compress(f"{head}{body}\r\n\r\n".encode())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Five files of pages, with near copies in one and across, and a broken record."""
    folder = tmp_path_factory.mktemp("files")
    seen, paths = [], []
    for number in range(5):
        pages = [text() for _ in range(30)]
        if seen:
            copies = choose.sample(seen, 12)
            pages += [copy.replace(" ", f" new{number} ", 1) for copy in copies]
        pages += [pages[0], pages[1] + " end"]
        choose.shuffle(pages)
        data = [
            record(f"https://a{number}.org/{i}", page) for i, page in enumerate(pages)
        ]
        data[3] = data[3][:-9]
        paths.append(folder / f"{number}.warc.wet.gz")
        paths[-1].write_bytes(b"".join(data))
        seen += pages
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def good():
    few = WORDS[:1500]
    curated = [" ".join(choose.choices(few, k=60)) for _ in range(60)]
    return like_curated(train_quality(curated, [text() for _ in range(60)]), alpha=1)


def plainly(files, choose_page, **options):
    read = itertools.chain.from_iterable(read_warc(file, Tally()) for file in files)
    chosen = list(keep(read, [choose_page], Tally()))
    return chosen, list(drop_near_copies(chosen, Tally(), **options))


def run(files, choose_page, folder, tasks, workers=1, **options):
    from datatrove.executor import LocalPipelineExecutor

    last = None
    for i, stage in enumerate(crawl_stages(files, choose_page, folder, **options)):
        last = LocalPipelineExecutor(
            stage,
            tasks=1 if i == 1 else tasks,
            workers=workers,
            logging_dir=str(folder / f"logs{i}"),
            depends=last,
        )
    last.run()
    rows = [
        json.loads(line)
        for path in sorted((folder / "kept").glob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    return sorted(rows, key=lambda row: row["id"])


@needs_scale
@pytest.mark.parametrize(("tasks", "threshold"), [(1, 0.5), (2, 0.5), (7, 0.99)])
def test_any_number_of_tasks_keeps_the_same_pages(
    files, good, tmp_path, tasks, threshold
):
    chosen, expected = plainly(files, good, threshold=threshold)
    found = run(files, good, tmp_path, tasks, threshold=threshold)
    assert 20 < len(expected) < len(chosen)
    assert (len(expected) < len(chosen) - 5) == (threshold == 0.5)
    assert [row["metadata"]["name"] for row in found] == [d.name for d in expected]
    assert [row["text"] for row in found] == [d.text for d in expected]
    assert [row["metadata"]["source"] for row in found] == [d.source for d in expected]
    copies = json.loads((tmp_path / "copies.json").read_text())
    assert len(copies) == len(chosen) - len(expected)


@needs_scale
def test_faint_copies_in_more_than_ten_files_are_found_as_plainly(tmp_path):
    # Each start stands in two files: pairs with a fourth of their runs in common.
    starts, paths = [text(26) for _ in range(22)], []
    for number in range(11):
        here = [(4 * number + i) % 22 for i in range(4)]
        data = [
            record(f"https://a.org/{number}/{i}", f"{starts[i]} {text(36)}")
            for i in here
        ]
        paths.append(tmp_path / f"{number}.warc.wet.gz")
        paths[-1].write_bytes(b"".join(data))
    files = [str(path) for path in paths]
    _, expected = plainly(files, lambda page: None, threshold=0)
    found = run(files, lambda page: None, tmp_path, tasks=2, threshold=0)
    assert 22 <= len(expected) < 30
    assert [row["metadata"]["name"] for row in found] == [d.name for d in expected]


@needs_scale
def test_each_task_logs_what_it_read_and_chose(files, good, tmp_path):
    chosen, _ = plainly(files[:1], good)
    run(files[:1], good, tmp_path, tasks=1)
    log = (tmp_path / "logs0/logs/task_00000.log").read_text()
    assert "('kept', 31), ('broken record', 1)" in log
    assert f"('kept', {len(chosen)}), ('low quality', {31 - len(chosen)})" in log


@needs_scale
def test_pages_of_an_earlier_run_are_refused(files, good, tmp_path):
    run(files, good, tmp_path, tasks=3)
    for i in range(3):
        (tmp_path / f"logs{i}").rename(tmp_path / f"old{i}")
    with pytest.raises(ValueError, match="pages of an earlier run: take a new folder"):
        run(files, good, tmp_path, tasks=2)


@needs_scale
def test_what_a_killed_task_left_half_written_is_passed_over(files, good, tmp_path):
    left = tmp_path / "signatures" / ".5f3a.safetensors"
    left.parent.mkdir()
    left.write_bytes(bytes(200))
    _, expected = plainly(files, good)
    found = run(files, good, tmp_path, tasks=2)
    assert [row["metadata"]["name"] for row in found] == [d.name for d in expected]


@needs_scale
def test_an_empty_corpus_is_refused(files, tmp_path):
    with pytest.raises(ValueError, match="no page of .* was chosen: see the logs"):
        run(files[:1], lambda page: "bad", tmp_path, tasks=2)


def test_the_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datatrove.pipeline.readers", None)
    with pytest.raises(
        ImportError, match=r"machines needs the extra 'scale': run .*\[scale\]"
    ):
        crawl_stages(["a"], print, tmp_path)
