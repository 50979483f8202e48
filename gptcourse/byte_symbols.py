"""GPT-2's printable names of the 256 bytes, in which its files spell their tokens."""

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
