"""A vocabulary: how its tokens are spelled in files, and which id each has.

The printable names of the 256 bytes are built by hand in notebook 04.
"""

from collections.abc import Mapping, Sequence

Pair = tuple[int, int]
BytePair = tuple[bytes, bytes]

_SHOWN = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in _SHOWN]

# The 188 bytes that are visible in Latin-1 come first, then the 68 others: the order
# of GPT-2's first 256 ids.
BYTE_ORDER = bytes(_SHOWN + _HIDDEN)
BYTE_RANKS = bytes(BYTE_ORDER.index(byte) for byte in range(256))

_SYMBOLS = [chr(byte) for byte in _SHOWN] + [chr(256 + i) for i in range(len(_HIDDEN))]
_SYMBOL_OF = dict(zip(BYTE_ORDER, _SYMBOLS, strict=True))
_BYTE_OF = {symbol: byte for byte, symbol in _SYMBOL_OF.items()}


def to_symbols(data: bytes) -> str:
    """Return one printable character for each byte.

    Source: openai/gpt-2, src/encoder.py, `bytes_to_unicode`.

    >>> to_symbols(" né".encode())
    'ĠnÃ©'
    """
    return "".join(map(_SYMBOL_OF.__getitem__, data))


def from_symbols(symbols: str) -> bytes:
    """Return the bytes that the printable characters stand for.

    Raises: ValueError naming the first character that stands for no byte.

    >>> from_symbols("ĠnÃ©").decode()
    ' né'
    """
    try:
        return bytes(map(_BYTE_OF.__getitem__, symbols))
    except KeyError as error:
        raise ValueError(
            f"{symbols!r} holds {error.args[0]!r}, which stands for no byte"
        ) from None


def byte_tokens() -> list[bytes]:
    """Return the 256 one-byte tokens in GPT-2's order.

    >>> byte_tokens()[:3], len(byte_tokens())
    ([b'!', b'"', b'#'], 256)
    """
    return [bytes([byte]) for byte in BYTE_ORDER]


def assign_ids(
    tokens: Sequence[bytes], ids: Mapping[bytes, int] | None
) -> dict[bytes, int]:
    """Return the id of each token in the tokens' order; None counts them from 0.

    Raises: ValueError if a token has no id, or an id no token, or two tokens one id.

    >>> assign_ids([b"a", b"b"], {b"b": 0, b"a": 7})
    {b'a': 7, b'b': 0}
    """
    if ids is None:
        return {token: i for i, token in enumerate(tokens)}
    owner = {}
    for token in tokens:
        if token not in ids:
            raise ValueError(f"token {token!r} has no id")
        _claim(owner, ids[token], token)
    if len(ids) > len(tokens):
        token = next(iter(ids.keys() - set(tokens)))
        raise ValueError(f"id {ids[token]} is for {token!r}, which no merge makes")
    return {token: ids[token] for token in tokens}


def number_special(
    special: Sequence[str] | Mapping[str, int], vocabulary: Mapping[bytes, int]
) -> dict[str, int]:
    """Return the id of each special token; names alone get the ids after the others.

    Raises: ValueError for a name that is empty, double or another token's bytes, and
    for an id that is taken.

    >>> number_special(["<|end|>"], {b"a": 0, b"b": 1})
    {'<|end|>': 2}
    """
    if isinstance(special, str):
        raise TypeError(f"special is the string {special!r}: give a list of names")
    owner = {i: token for token, i in vocabulary.items()}
    if not isinstance(special, Mapping):
        first = max(owner) + 1
        if len(set(special)) != len(special):
            raise ValueError(f"special tokens {list(special)} name one twice")
        special = {name: first + i for i, name in enumerate(special)}
    for name, i in special.items():
        if not name:
            raise ValueError(f"the special token with id {i} is empty")
        if name.encode() in vocabulary:
            raise ValueError(
                f"special token {name!r} collides with token"
                f" {vocabulary[name.encode()]}, which has the same bytes"
            )
        _claim(owner, i, name)
    return dict(special)


def _claim(owner: dict, i: int, token: bytes | str) -> None:
    if type(i) is not int or i < 0:
        raise ValueError(f"token {token!r} has id {i!r}: ids are 0 or more")
    if i in owner:
        raise ValueError(f"id {i} is for {token!r} and for {owner[i]!r}")
    owner[i] = token


def write_merge(pair: BytePair) -> str:
    """Return a merge as GPT-2's files write it.

    >>> write_merge((b" ", b"t"))
    'Ġ t'
    """
    return f"{to_symbols(pair[0])} {to_symbols(pair[1])}"


def read_merge(text: str | list[str]) -> BytePair:
    """Return the two tokens of a written merge; ValueError if they are not two.

    Newer files write a list of two in place of a string with a space.

    >>> read_merge("Ġ t")
    (b' ', b't')
    """
    match text.split(" ") if isinstance(text, str) else text:
        case [str(left), str(right)] if left and right:
            return from_symbols(left), from_symbols(right)
    raise ValueError(f"{text!r} is no merge: expected two tokens, a space between")
