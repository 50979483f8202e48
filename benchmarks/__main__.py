"""Our speed against the peers', side by side in one run: `python -m benchmarks`."""

import argparse
import importlib

COMPARISONS = ("speed", "recipe", "tokenizer")


def main(arguments: list[str] | None = None) -> None:
    """Print a line a comparison as soon as it is measured."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"what to compare: {', '.join(COMPARISONS)}; all, if none is named",
    )
    names = parser.parse_args(arguments).names or COMPARISONS
    for name in set(names) - set(COMPARISONS):
        parser.error(f"no comparison {name!r}: there are {', '.join(COMPARISONS)}")
    print(f"{'':46}{'ours':>12}{'peer':>12}{'ratio':>9}{'to reach':>10}", flush=True)
    for name in names:
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            times = f"{_time(row.ours):>12}{_time(row.peer):>12}"
            ratio = f"{row.peer / row.ours:7.2f} ×{row.target:8.1f} ×"
            print(f"{row.name:46}{times}{ratio}", flush=True)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


if __name__ == "__main__":
    main()
