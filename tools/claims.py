"""Run notebooks under seeds that nobody chose: every claim must still hold.

    python -m tools.claims notebooks/*.ipynb [--seeds 7 8 9]

The three seeds are drawn from the commit's hash, so that no claim can be tuned to them;
a copy without its history draws them from the notebooks' text. Each notebook runs under
every seed, and once more on two threads; as many run side by side as there are cores.
Nothing is stored. A cell that fails does not stop its notebook: all that fails is
listed at the end.
"""

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

from tools.notebooks import execute, longest_first, side_by_side

ROOT = Path(__file__).resolve().parents[1]
N_SEEDS = 3
SEED_LIMIT = 10**6
OWN_THREADS = re.compile(r"\bset_num_threads\(\s*\d+\s*\)")


class Trial(NamedTuple):
    """One run of one notebook."""

    path: Path
    seed: int
    threads: int

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.path.name}, seed {self.seed}, {threads}"


def drawn_seeds(text: str) -> list[int]:
    """Three different seeds that follow from a text, each from 1 to 999,999.

    >>> drawn_seeds("a commit") == drawn_seeds("a commit") != drawn_seeds("another")
    True
    """
    seeds: dict[int, None] = {}
    count = 0
    while len(seeds) < N_SEEDS:
        digest = hashlib.sha256(f"{count} {text}".encode()).hexdigest()
        seeds[int(digest, 16) % (SEED_LIMIT - 1) + 1] = None
        count += 1
    return list(seeds)


def origin(folder: Path, notebooks: list[Path]) -> str:
    """The hash of the folder's commit; of the notebooks' texts where git has none."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        together = b"".join(path.read_bytes() for path in sorted(notebooks))
        return hashlib.sha256(together).hexdigest()


def failures(trial: Trial) -> list[str]:
    """Run one notebook; return the first line of each failure, with its cell."""
    notebook = nbformat.read(trial.path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            threads = f"set_num_threads({trial.threads})"
            cell.source = OWN_THREADS.sub(threads, cell.source)
    folder = trial.path.resolve().parent
    found = []
    try:
        execute(notebook, folder, threads=trial.threads, seed=trial.seed, go_on=True)
    except RuntimeError as error:  # no cell after this one was run
        found.append(str(error).strip().splitlines()[0])
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                line = f"{output.ename}: {output.evalue}".splitlines()[0]
                found.append(f"cell {index}: {line}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Try the notebooks named on the command line; 1 if anything fails."""
    parser = argparse.ArgumentParser(description="try claims under other seeds")
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, help="instead of drawn ones")
    given = parser.parse_args(arguments)
    seeds = given.seeds or drawn_seeds(origin(ROOT, given.notebooks))
    print("seeds:", *seeds, flush=True)
    settings = [*((seed, 1) for seed in seeds), (0, 2)]
    ordered = longest_first(given.notebooks)
    trials = [Trial(path, *setting) for path in ordered for setting in settings]
    failed = {}
    for trial, found in side_by_side(failures, trials):
        failed |= {trial: found} if found else {}
        print(f"{trial}: {'FAILS' if found else 'holds'}", flush=True)
    for trial in sorted(failed):
        print(*(f"{trial}, {line}" for line in failed[trial]), sep="\n")
    print(f"{len(trials) - len(failed)} of {len(trials)} runs hold")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
