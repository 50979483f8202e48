"""What all tokenizers check and mend: ids in the vocabulary, text that is Unicode."""

from collections.abc import Iterable
from operator import index


def as_texts(texts: Iterable[str]) -> Iterable[str]:
    """Return the texts; a single string is one text, not a series of characters.

    >>> as_texts("one")
    ['one']
    """
    return [texts] if isinstance(texts, str) else texts


def without_surrogates(text: str) -> str:
    """Return text that UTF-8 can hold: two halves joined, a lone half made U+FFFD.

    Raises: TypeError if it is no string.
    Source: tiktoken, which does the same.

    >>> without_surrogates("a\\ud800")
    'a\\ufffd'
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}, not a string")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain_ids(ids: Iterable[int]) -> list[int]:
    """Return ids as a list of ints, from a list, an array or a tensor of one axis (t).

    Raises: TypeError if they are not whole numbers in one axis.

    >>> plain_ids(range(3))
    [0, 1, 2]
    """
    ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    for place, i in enumerate(ids):
        if type(i) is not int:
            try:
                ids[place] = index(i)
            except TypeError:
                raise TypeError(
                    f"ids[{place}] is {i!r}: give whole numbers in one axis"
                ) from None
    return ids


def refuse_outside(ids: list[int], known, n_vocab: int) -> None:
    """Raise ValueError for the first id that is not among the known ones.

    >>> refuse_outside([1, 9], known=range(4), n_vocab=4)
    Traceback (most recent call last):
    ValueError: id 9 at position 1 is outside the vocabulary of 4
    """
    for place, i in enumerate(ids):
        if i not in known:
            raise ValueError(
                f"id {i} at position {place} is outside the vocabulary of {n_vocab}"
            )
