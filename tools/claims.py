"""Run notebooks under other seeds and on one thread: every claim must still hold.

    python -m tools.claims notebooks/*.ipynb

Nothing is stored. A claim that does not hold stops its notebook, and its cell is named.
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat

from tools.notebooks import execute

#: (seed, threads)
SETTINGS = ((1, 2), (2, 2), (3, 2), (0, 1))


def failures(path):
    """Run one notebook under each setting; return what failed, as texts."""
    found = []
    for seed, threads in SETTINGS:
        os.environ["GPTCOURSE_SEED"] = str(seed)
        notebook = nbformat.read(path, as_version=4)
        where = f"{path.name}, seed {seed}, {threads} thread{'s' * (threads > 1)}"
        try:
            seconds = execute(notebook, path.parent, threads=threads)
        except RuntimeError as error:
            found.append(f"{where}: {error}")
            print(f"{where}: failed", flush=True)
        else:
            print(f"{where}: holds, {sum(seconds.values()):.0f} s", flush=True)
    return found


def main(arguments=None):
    """Try the notebooks named on the command line; 1 if a claim fails somewhere."""
    parser = argparse.ArgumentParser(description="try claims under other seeds")
    parser.add_argument("notebooks", nargs="+", type=Path)
    found = [
        text
        for path in parser.parse_args(arguments).notebooks
        for text in failures(path)
    ]
    print("\n".join(found), file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
