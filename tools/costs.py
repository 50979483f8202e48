"""Measure what every notebook costs, and write it where a reader looks.

    python -m tools.costs [NOTEBOOK ...]

Runs each notebook, or those named, in a fresh kernel, one after the other and with two
threads, as a reader has it, and measures its seconds, its slowest cell and its kernel's
highest resident memory. Writes `tools/costs.json`, the table of `README.md` between its
two markers, and the cost line of each notebook.

So that figures do not change with every run, seconds are rounded up to tens and memory
to tenths of a GB, and a stored figure stays while a new one is within one such step.
"""

import argparse
import json
import math
import re
import threading
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil

from tools.notebooks import COSTS, execute, save, settle

ROOT = Path(__file__).resolve().parents[1]
STEPS = {"seconds": 10, "slowest_cell_seconds": 5, "gigabytes": 0.1}
MARKERS = ("<!-- costs -->", "<!-- /costs -->")
COST_LINE = re.compile(r"^\*\*Cost\*\*:.*$", re.MULTILINE)
POLL_SECONDS = 0.02
THREADS = 2  # what the course promises its times for


def load(record=COSTS):
    """What the notebooks cost, by name.

    Raises: ValueError in one line where the record is missing or holds anything else.
    """
    again = "run `make costs`"
    if not record.exists():
        raise ValueError(f"{record} is missing: {again}")
    try:
        costs = json.loads(record.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{record} is no JSON ({error}): {again}") from error
    if not isinstance(costs, dict) or not costs:
        raise ValueError(f"{record} names no notebook: {again}")
    for name, cost in costs.items():
        if not (isinstance(cost, dict) and cost.keys() == STEPS.keys()):
            raise ValueError(f"{record} lacks {', '.join(STEPS)} of {name}: {again}")
        if not all(isinstance(x, int | float) and x > 0 for x in cost.values()):
            raise ValueError(f"{record}: a cost of {name} is no number over 0: {again}")
    return costs


def cost_line(cost):
    """The line of a notebook's first cell."""
    return (
        f"**Cost**: about {cost['seconds']:g} s and {cost['gigabytes']:g} GB "
        "on 2 cores; offline."
    )


def measure(path):
    """Run one notebook; return its raw figures by name."""
    notebook = nbformat.read(path, as_version=4)
    peak = PeakMemory()
    seconds = execute(notebook, path.parent, threads=THREADS, watch=peak.of)
    return {
        "seconds": sum(seconds.values()),
        "slowest_cell_seconds": max(seconds.values()),
        "gigabytes": peak.bytes / 1e9,
    }


class PeakMemory:
    """The highest resident memory of a process and its children, in bytes."""

    def __init__(self):
        self.bytes = 0

    @contextmanager
    def of(self, pid):
        """Watch a process while the context lasts."""
        process, done = psutil.Process(pid), threading.Event()
        thread = threading.Thread(target=self._poll, args=(process, done))
        thread.start()
        try:
            yield
        finally:
            self.bytes = max(self.bytes, _high_water_mark(pid))
            done.set()
            thread.join()

    def _poll(self, process, done):
        while not done.wait(POLL_SECONDS):
            self.bytes = max(self.bytes, _resident(process))


def _resident(process):
    try:
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family)
    except psutil.NoSuchProcess:  # a child that ended between the two lines
        return 0


def _high_water_mark(pid):
    """Linux keeps the true peak of a process, also between two polls."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024


def settled(raw, stored):
    """Rounded figures; a stored one stays while the new one is within a step of it."""
    return {
        name: stored[name]
        if stored and abs(raw[name] - stored[name]) <= step
        else round(math.ceil(raw[name] / step) * step, 1)
        for name, step in STEPS.items()
    }


def with_cost_line(notebook, cost):
    """Put the cost line into the first cell, in place; ValueError if it has none."""
    first = notebook.cells[0]
    if not COST_LINE.search(first.source):
        raise ValueError("the first cell has no line that begins with **Cost**:")
    first.source = COST_LINE.sub(cost_line(cost), first.source)


def table(costs, titles):
    """The README's table, as markdown: a row a notebook."""
    rows = [
        f"| [{titles[name]}](notebooks/{name}) | {cost['seconds']:g} s "
        f"| {cost['slowest_cell_seconds']:g} s | {cost['gigabytes']:g} GB |"
        for name, cost in sorted(costs.items())
    ]
    head = ["| notebook | time | slowest cell | memory |", "|---|--:|--:|--:|"]
    return "\n".join([*head, *rows])


def with_table(readme, text):
    """The README's text with the table between its markers; ValueError without them."""
    before, found, rest = readme.partition(MARKERS[0])
    _, closed, after = rest.partition(MARKERS[1])
    if not (found and closed):
        raise ValueError(f"README.md lacks the markers {' and '.join(MARKERS)}")
    return f"{before}{MARKERS[0]}\n{text}\n{MARKERS[1]}{after}"


def title(notebook):
    """The text of a notebook's first heading."""
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]


def update(root, names=()):
    """Measure the notebooks under `root`, or those named, and write what they cost.

    Raises: ValueError where a name is no notebook's, or the record is not whole.
    Without a record, all are measured.
    """
    record = root / "tools" / COSTS.name
    stored = load(record) if names or record.exists() else {}
    known = {path.name for path in (root / "notebooks").glob("*.ipynb")}
    for name in names:
        if name not in known:
            raise ValueError(
                f"no notebook {name}: there are {', '.join(sorted(known))}"
            )
    costs, titles = {}, {}
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        titles[path.name] = title(notebook)
        if names and path.name not in names:
            if path.name in stored:
                costs[path.name] = stored[path.name]
            continue
        raw = measure(path)
        print(path.name, ", ".join(f"{name} {raw[name]:.2f}" for name in raw))
        costs[path.name] = settled(raw, stored.get(path.name))
        with_cost_line(notebook, costs[path.name])
        settle(notebook)
        save(notebook, path)
    record.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n", "utf-8")
    readme = root / "README.md"
    text = with_table(readme.read_text("utf-8"), table(costs, titles))
    readme.write_text(text, "utf-8")


def main(arguments=None):
    """Measure the notebooks named on the command line, or all."""
    parser = argparse.ArgumentParser(description="measure what notebooks cost")
    parser.add_argument("notebooks", nargs="*", type=Path, help="all, if none is named")
    update(ROOT, [path.name for path in parser.parse_args(arguments).notebooks])


if __name__ == "__main__":
    main()
