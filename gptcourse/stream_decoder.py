"""Text from tokens that arrive one by one, without half a character."""

from codecs import getincrementaldecoder


class StreamDecoder:
    """Decodes token by token: the bytes of an unfinished character wait for the rest.

    Takes any tokenizer with `decode_bytes`. What `feed` and `finish` return, joined,
    is what `decode` returns for all ids at once.

    >>> from gptcourse.tokenizer import ByteTokenizer
    >>> stream = StreamDecoder(ByteTokenizer())
    >>> [stream.feed(i) for i in "né".encode()], stream.finish()
    (['n', '', 'é'], '')
    """

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token: int) -> str:
        """Return the characters that this id completes, perhaps none."""
        return self._decoder.decode(self._tokenizer.decode_bytes([token]))

    def finish(self) -> str:
        """Return U+FFFD if the last character stayed unfinished; start anew."""
        return self._decoder.decode(b"", final=True)
