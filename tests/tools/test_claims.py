"""Claims are tried under seeds that nobody chose, and all that fail are listed."""

import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import claims

HOLDS = [
    "import os\n\nfrom gptcourse.lesson import results",
    'threads = "1" if results.seed() else "2"',
    'results.claim("So many", os.environ["OMP_NUM_THREADS"] == threads)',
]
FAILS = [
    "from gptcourse.lesson import results\n\nthreads = []\n"
    "set_num_threads = threads.append\nset_num_threads(1)",
    'results.claim("The seed is even", results.seed() % 2 == 0)',
    'results.claim("One thread is enough", threads == [1])',
    "1 / (results.seed() - 7)",
]


def written(path, sources):
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_seeds_follow_from_the_text_and_are_three_from_one_up():
    for text in map(str, range(200)):
        seeds = claims.drawn_seeds(text)
        assert seeds == claims.drawn_seeds(text)
        assert len(set(seeds)) == 3
        assert all(1 <= seed < 10**6 for seed in seeds)
    assert len({seed for n in range(200) for seed in claims.drawn_seeds(f"{n}")}) > 590


def test_seeds_are_drawn_anew_where_two_are_the_same(monkeypatch):
    monkeypatch.setattr(claims, "SEED_LIMIT", 4)
    assert all(sorted(claims.drawn_seeds(f"{n}")) == [1, 2, 3] for n in range(9))


def test_seeds_are_drawn_from_the_commit_or_without_git_from_the_notebooks(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text("one")
    first = claims.origin(tmp_path, [path])
    assert first == claims.origin(tmp_path, [path])
    path.write_text("two")
    assert claims.origin(tmp_path, [path]) != first
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    commit = ["commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", "a"]
    subprocess.run([*git, *commit], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    assert claims.origin(tmp_path, [path]) == head.stdout.strip()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What is printed for a notebook that holds and one that does not."""
    folder = tmp_path_factory.mktemp("claims")
    good, bad = (
        written(folder / "good.ipynb", HOLDS),
        written(folder / "b.ipynb", FAILS),
    )
    before = bad.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *words, **_: lines.extend(words))
        code = claims.main([str(good), str(bad), "--seeds", "7", "8"])
    assert bad.read_bytes() == before
    return code, [str(line) for line in lines]


def test_the_seeds_are_printed_and_every_failure_is_listed_at_the_end(told):
    code, lines = told
    assert code == 1
    assert lines[:3] == ["seeds:", "7", "8"]
    assert lines[-4:] == [
        "b.ipynb, seed 0, 2 threads, cell 2: AssertionError: claim does not hold: "
        "One thread is enough",
        "b.ipynb, seed 7, 1 thread, cell 1: AssertionError: claim does not hold: "
        "The seed is even",
        "b.ipynb, seed 7, 1 thread, cell 3: ZeroDivisionError: division by zero",
        "4 of 6 runs hold",
    ]


def test_every_run_is_told_as_it_ends(told):
    runs = {line for line in told[1] if line.endswith((": holds", ": FAILS"))}
    assert runs == {
        "good.ipynb, seed 7, 1 thread: holds",
        "good.ipynb, seed 8, 1 thread: holds",
        "good.ipynb, seed 0, 2 threads: holds",
        "b.ipynb, seed 7, 1 thread: FAILS",
        "b.ipynb, seed 8, 1 thread: holds",
        "b.ipynb, seed 0, 2 threads: FAILS",
    }
