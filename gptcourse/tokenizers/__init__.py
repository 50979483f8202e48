"""Text to tokens and back: bytes, characters, words, byte pairs."""

from gptcourse.tokenizers.base import Encoder, StreamDecoder
from gptcourse.tokenizers.byte_pair import END_OF_TEXT, GPT2_PATTERN, BytePairTokenizer
from gptcourse.tokenizers.characters import ByteTokenizer, CharacterTokenizer
from gptcourse.tokenizers.vocabulary import to_symbols
from gptcourse.tokenizers.words import WordPairTokenizer
