"""Execute notebooks in place, so that running them again changes nothing but results.

    python -m tools.notebooks notebooks/*.ipynb

As many run side by side as there are cores, on one thread each, the longest first. What
differs from run to run though the notebook is the same (timings, random cell and widget
ids, the interpreter's patch version) is not stored. A notebook whose execution fails is
left as it was.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from gptcourse.common import whole_file

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python"}
KERNEL_NAME = "python3"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
#: what an author sets; the rest of a cell's metadata is a run's
CELL_METADATA = ("tags", "jupyter", "jp-MarkdownHeadingCollapsed")
CELL_SECONDS = 600
AT_ONCE = 8  # a notebook may take 1 GB
COSTS = Path(__file__).parent / "costs.json"
Job, Result = TypeVar("Job"), TypeVar("Result")


def environment(threads: int, seed: int | None = None) -> dict[str, str]:
    """A kernel's environment: no progress bars, so many threads, this seed or none."""
    kept = {name: text for name, text in os.environ.items() if name != "GPTCOURSE_SEED"}
    seeded = {} if seed is None else {"GPTCOURSE_SEED": str(seed)}
    return kept | seeded | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}


def execute(
    notebook: NotebookNode,
    folder: Path,
    *,
    threads: int = 1,
    seed: int | None = None,
    go_on: bool = False,
    watch: Callable[[int], AbstractContextManager] = nullcontext,
) -> dict[int, float]:
    """Execute in a fresh kernel that works in `folder`; return seconds by code cell.

    `watch(pid)` is a context around the run of the kernel with this process id. Raises
    RuntimeError with the cell's number where a cell takes too long, kills the kernel,
    or fails; with `go_on` a failure is stored as the cell's output and the next cell
    is run.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name=KERNEL_NAME,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        allow_errors=go_on,
    )
    seconds = {}
    with (
        client.setup_kernel(env=environment(threads, seed)),
        watch(client.km.provisioner.pid),
    ):
        for index, cell in enumerate(notebook.cells):
            start = perf_counter()
            try:
                client.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise RuntimeError(f"cell {index}: {error}") from error
            if cell.cell_type == "code":
                seconds[index] = perf_counter() - start
    return seconds


def side_by_side(
    work: Callable[[Job], Result], jobs: Iterable[Job]
) -> Iterator[tuple[Job, Result]]:
    """Do as many jobs at a time as there are cores, up to 8; yield each as it ends."""
    count = min(os.cpu_count() or 1, AT_ONCE)
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=processes) as pool:
        running = {pool.submit(work, job): job for job in jobs}
        for done in as_completed(running):
            yield running[done], done.result()


def longest_first(paths: Iterable[Path], record: Path = COSTS) -> list[Path]:
    """Order notebooks so that side by side they end soonest; unmeasured ones first."""
    costs = json.loads(record.read_text("utf-8")) if record.exists() else {}

    def seconds(path):
        return costs.get(path.name, {}).get("seconds", float("inf"))

    return sorted(paths, key=lambda path: (-seconds(path), path))


def settle(notebook: NotebookNode) -> None:
    """Drop from a notebook, in place, what a run of the same cells may change."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {**KERNEL, "name": KERNEL_NAME},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.id = _cell_id(cell.source, seen)
        cell.metadata = nbformat.from_dict(
            {
                name: cell.metadata[name]
                for name in CELL_METADATA
                if name in cell.metadata
            }
        )
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)


def _cell_id(source: str, seen: set[str]) -> str:
    """A name that follows from the cell's text, so that only edits change it."""
    count = 0
    while True:
        digest = hashlib.sha256(f"{count}:{source}".encode()).hexdigest()[:8]
        if digest not in seen:
            seen.add(digest)
            return digest
        count += 1


def save(notebook: NotebookNode, path: Path) -> None:
    """Write a valid notebook whole or not at all."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook) + "\n"
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def run(path: Path) -> str:
    """Execute the notebook at `path` in its own folder and store it.

    Returns what went wrong, and then stores nothing; or "".
    """
    notebook = nbformat.read(path, as_version=4)
    try:
        execute(notebook, path.parent)
    except RuntimeError as error:
        return str(error)
    settle(notebook)
    save(notebook, path)
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Execute the notebooks named on the command line; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description="execute notebooks in place")
    parser.add_argument("notebooks", nargs="+", type=Path)
    failed = False
    paths = longest_first(parser.parse_args(arguments).notebooks)
    for path, error in side_by_side(run, paths):
        failed = failed or bool(error)
        if error:
            print(f"{path}: {error}", file=sys.stderr, flush=True)
        else:
            print(f"{path}: stored", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
