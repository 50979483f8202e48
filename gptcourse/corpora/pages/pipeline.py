"""Common Crawl's steps on many machines: the functions of `crawl`, run by datatrove.

datatrove runs lists of steps in many tasks, on one machine, on Slurm or on Ray. A task
sees its own files alone, but near copies lie anywhere. So there are three stages: tasks
choose pages and sign them, one task groups all signatures, and tasks drop the copies.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from gptcourse.common import missing_extra, whole_file
from gptcourse.corpora.filters import Filter, Tally
from gptcourse.corpora.near_copies import signature_groups, signatures
from gptcourse.corpora.pages.crawl import TABLES, THRESHOLD
from gptcourse.corpora.pages.warc import read_warc
from gptcourse.corpora.pages.webtext import keep


def crawl_stages(
    files: Sequence[str], choose: Filter, folder: Path, threshold: float = THRESHOLD
) -> tuple[list, list, list]:
    """Return three stages, each a list of steps for an executor of datatrove.

    The first and the third run in as many tasks as you like, the second in one, each
    after the one before. `folder` is a new one that all machines see; in its "kept" end
    the pages, as JSON lines: those that `keep` and `drop_near_copies` yield for the
    files in their order. `choose` judges each page by itself, as `like_curated` does;
    a filter that remembers, such as `ExactCopies`, would know one task's pages alone.

    Raises: ImportError in one line without the extra `scale`.

    >>> choice, groups, rest = crawl_stages(files, choose, folder)  # doctest: +SKIP
    >>> first = LocalPipelineExecutor(choice, tasks=8)  # doctest: +SKIP
    >>> second = LocalPipelineExecutor(groups, depends=first)  # doctest: +SKIP
    >>> LocalPipelineExecutor(rest, tasks=8, depends=second).run()  # doctest: +SKIP
    """
    try:
        from datatrove.pipeline.readers import JsonlReader
        from datatrove.pipeline.writers import JsonlWriter

        chosen, kept = (JsonlWriter(f"{folder}/{name}") for name in ("chosen", "kept"))
    except ImportError:
        raise missing_extra("a crawl on many machines needs", "scale") from None
    return (
        [partial(_choose, files, choose, folder), chosen],
        [partial(_group, folder, threshold)],
        [JsonlReader(f"{folder}/chosen"), partial(_drop, folder), kept],
    )


def _choose(
    files: Sequence[str], choose: Filter, folder: Path, _, task: int, n_tasks: int
) -> Iterator:
    """Yield the chosen pages of a task's files, and then write their signatures."""
    from datatrove.data import Document as Page
    from datatrove.utils.logging import logger

    ids, rows = [], [signatures([])]
    for i in range(task, len(files), n_tasks):
        read, chosen = Tally(), Tally()
        for n, page in enumerate(keep(read_warc(files[i], read), [choose], chosen)):
            ids.append(f"{i:06}/{n:09}")
            rows.append(signatures([page.text]))
            about = {"source": page.source, "name": page.name}
            yield Page(page.text, ids[-1], metadata=about)
        logger.info(f"{files[i]}: read {read.rows()}, chosen {chosen.rows()}")
    with whole_file(folder / f"signatures/{task:05}.safetensors") as path:
        save_file({"rows": np.concatenate(rows)}, path, {"ids": " ".join(ids)})


def _group(folder: Path, threshold: float, *_) -> None:
    """Write the ids of all pages but the first of each group of near copies."""
    ids, rows = [], []
    for path in folder.glob("signatures/[!.]*.safetensors"):  # a killed task leaves .*
        with safe_open(path, "numpy") as file:
            ids += file.metadata()["ids"].split()
            rows.append(file.get_tensor("rows"))
    if not ids:
        raise ValueError(f"no page of {folder} was chosen: see the logs of the tasks")
    if len(set(ids)) < len(ids):
        raise ValueError(f"{folder} holds pages of an earlier run: take a new folder")
    order = np.argsort(ids)
    groups = signature_groups(np.concatenate(rows)[order], TABLES, 1, threshold)
    copies = [ids[order[i]] for i, group in enumerate(groups) if group != i]
    with whole_file(folder / "copies.json") as path:
        path.write_text(json.dumps(copies), "utf-8")


def _drop(folder: Path, pages: Iterable, *_) -> Iterator:
    """Pass on the pages that are no copies."""
    copies = set(json.loads((folder / "copies.json").read_text("utf-8")))
    return (page for page in pages if page.id not in copies)
