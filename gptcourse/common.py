"""Whole files, progress bars that can be switched off, and missing libraries."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tqdm.auto import tqdm


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a new path beside `path` to write to; its file then takes `path`'s place.

    A reader of `path` finds the old file or the whole new one, never half of it. After
    an exception the old file is as it was and what was written is removed. Folders
    that are missing are made.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole_file(f"{folder}/new/a.txt") as beside:
    ...         _ = beside.write_text("whole")
    ...     Path(folder, "new", "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody else has; not by `mkstemp`, whose files nobody else may read.
    beside = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def missing_extra(what: str, extra: str) -> ImportError:
    """Return the error for something that needs an extra of `pyproject.toml`.

    >>> print(missing_extra("downloads need", "online"))
    downloads need the extra 'online': run pip install -c constraints.txt -e ".[online]"
    """
    return ImportError(
        f"{what} the extra {extra!r}: run"
        f' pip install -c constraints.txt -e ".[{extra}]"'
    )


def bar(*args, hidden=False, **keywords):
    """A `tqdm.auto` bar, hidden on request or where `TQDM_DISABLE` is 1.

    tqdm itself heeds the variable in a terminal but not in a notebook.

    >>> [step * step for step in bar(range(3), hidden=True)]
    [0, 1, 4]
    """
    silent = hidden or os.environ.get("TQDM_DISABLE") == "1"
    return tqdm(*args, disable=silent, **keywords)
