"""Optional libraries: what to say where one is not installed.

A progress bar that can be switched off where notebooks are stored or compared.
"""

import os

from tqdm.auto import tqdm


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
