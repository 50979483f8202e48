"""A progress bar that can be switched off where notebooks are stored or compared."""

import os

from tqdm.auto import tqdm


def bar(*args, hidden=False, **keywords):
    """A `tqdm.auto` bar, hidden on request or where `TQDM_DISABLE` is 1.

    tqdm itself heeds the variable in a terminal but not in a notebook.

    >>> [step * step for step in bar(range(3), hidden=True)]
    [0, 1, 4]
    """
    silent = hidden or os.environ.get("TQDM_DISABLE") == "1"
    return tqdm(*args, disable=silent, **keywords)
