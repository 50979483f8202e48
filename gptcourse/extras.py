"""Optional libraries: what to say where one is not installed."""


def missing_extra(what: str, extra: str) -> ImportError:
    """Return the error for something that needs an extra of `pyproject.toml`.

    >>> print(missing_extra("downloads need", "online"))
    downloads need the extra 'online': run pip install -c constraints.txt -e ".[online]"
    """
    return ImportError(
        f"{what} the extra {extra!r}: run"
        f' pip install -c constraints.txt -e ".[{extra}]"'
    )
