"""Execute notebooks in place, so that running them again changes nothing but results.

    python -m tools.notebooks notebooks/*.ipynb

What differs from run to run though the notebook is the same (timings, random cell and
widget ids, the interpreter's patch version) is not stored. A notebook whose execution
fails is left as it was.
"""

import argparse
import hashlib
import os
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python"}
KERNEL_NAME = "python3"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_METADATA = ("tags", "jupyter")  # what an author sets; the rest is a run's
CELL_SECONDS = 600
THREADS = 2  # what the course promises its times for


def execute(notebook, folder, watch=nullcontext, threads=THREADS):
    """Execute in a fresh kernel that works in `folder`; return seconds by cell.

    `watch(pid)` is a context around the run of the kernel with this process id. Raises
    RuntimeError with the cell's number where a cell fails, takes too long, or kills
    the kernel.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name=KERNEL_NAME,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    seconds = {}
    with (
        quiet_environment(threads),
        client.setup_kernel(),
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


@contextmanager
def quiet_environment(threads):
    """No progress bars, and as many threads as given."""
    wanted = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def settle(notebook):
    """Drop from a notebook, in place, what a run of the same cells may change."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {**KERNEL, "name": KERNEL_NAME},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen = set()
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


def _cell_id(source, seen):
    """A name that follows from the cell's text, so that only edits change it."""
    count = 0
    while True:
        digest = hashlib.sha256(f"{count}:{source}".encode()).hexdigest()[:8]
        if digest not in seen:
            seen.add(digest)
            return digest
        count += 1


def save(notebook, path):
    """Write a valid notebook whole or not at all."""
    nbformat.validate(notebook)
    part = path.with_suffix(".part")
    part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
    os.replace(part, path)


def run(path):
    """Execute the notebook at `path` in its own folder and store it."""
    notebook = nbformat.read(path, as_version=4)
    seconds = execute(notebook, path.parent)
    settle(notebook)
    save(notebook, path)
    return seconds


def main(arguments=None):
    """Execute the notebooks named on the command line; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description="execute notebooks in place")
    parser.add_argument("notebooks", nargs="+", type=Path)
    failed = False
    for path in parser.parse_args(arguments).notebooks:
        try:
            seconds = run(path)
        except RuntimeError as error:
            failed = True
            print(f"{path}: {error}", file=sys.stderr)
            continue
        slowest = max(seconds.values(), default=0)
        print(f"{path}: {sum(seconds.values()):.0f} s, slowest cell {slowest:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
