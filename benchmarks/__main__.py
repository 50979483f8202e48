"""Our speed against the peers', side by side in one run: `python -m benchmarks`."""

from benchmarks import bench_tokenizer, recipe, speed


def main() -> None:
    """Print a line a comparison as soon as it is measured."""
    print(f"{'':46}{'ours':>12}{'peer':>12}{'ratio':>9}{'to reach':>10}", flush=True)
    for source in (speed.rows, recipe.rows, bench_tokenizer.rows):
        for name, ours, peer, target in source():
            times = f"{_time(ours):>12}{_time(peer):>12}"
            print(f"{name:46}{times}{peer / ours:7.2f} ×{target:8.1f} ×", flush=True)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


if __name__ == "__main__":
    main()
