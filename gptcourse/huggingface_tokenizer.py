"""The tokenizer in a model's folder, as transformers reads and writes it."""

import json
from pathlib import Path

from gptcourse.character_tokenizer import ByteTokenizer
from gptcourse.gpt1_tokenizer import GPT1Tokenizer
from gptcourse.model import GPTConfig
from gptcourse.tokenizer import END_OF_TEXT, BytePairTokenizer
from gptcourse.tokenizer_files import load_huggingface, load_openai, save_huggingface
from gptcourse.tokenizer_store import write_text
from gptcourse.word_tokenizer import UNKNOWN

TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
VOCABULARY, MERGES = "vocab.json", "merges.txt"
Tokenizer = BytePairTokenizer | ByteTokenizer | GPT1Tokenizer


def read_tokenizer(folder: Path, config: GPTConfig) -> Tokenizer | None:
    """Return the tokenizer of a model's folder; None if there is none.

    Released ones come as OpenAI's two files, GPT-1's of another kind than GPT-2's;
    models of this course have one `tokenizer.json`.

    Raises: ValueError for a file that is damaged, and for ids that the model lacks.

    >>> read_tokenizer(Path("no-such-folder"), config=None)
    """
    parts = folder / VOCABULARY, folder / MERGES
    if all(part.is_file() for part in parts):
        load = GPT1Tokenizer.load if config.block == "post_norm" else load_openai
        tokenizer = load(*parts)
    elif (folder / TOKENIZER).is_file():
        tokenizer = load_huggingface(folder / TOKENIZER)
    else:
        return None
    try:
        check_tokenizer(tokenizer, config)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, folder: Path, config: GPTConfig) -> None:
    """Write a tokenizer into a model's folder, so that `AutoTokenizer` opens it.

    Bytes are written as byte pairs without a merge, which they are when read again.
    Files of another tokenizer that the folder held are removed.

    >>> write_tokenizer(tokenizer, Path("my-gpt"), config)  # doctest: +SKIP
    """
    if isinstance(tokenizer, ByteTokenizer):
        ids = {bytes([byte]): byte for byte in range(tokenizer.n_vocab)}
        tokenizer = BytePairTokenizer([], ids=ids)
    if isinstance(tokenizer, GPT1Tokenizer):
        settings = {"tokenizer_class": "OpenAIGPTTokenizer", "unk_token": UNKNOWN}
        stale = (TOKENIZER,)
        tokenizer.save(folder / VOCABULARY, folder / MERGES)
    else:
        settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
        if END_OF_TEXT in tokenizer.special:
            settings |= {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
        stale = (VOCABULARY, MERGES)
        save_huggingface(tokenizer, folder / TOKENIZER)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    settings |= {"model_max_length": config.n_ctx}
    write_text(folder / SETTINGS, json.dumps(settings, indent=2) + "\n")


def check_tokenizer(tokenizer: Tokenizer, config: GPTConfig) -> None:
    """Raise ValueError for a tokenizer that transformers, or the model, cannot take.

    >>> check_tokenizer(BytePairTokenizer([]), GPTConfig(256, 8, 4, 2, 1))
    """
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(
            f"transformers has no form for a {type(tokenizer).__name__}; save the "
            "model without it, and it with its own save()"
        )
    if tokenizer.n_vocab > config.n_vocab:
        raise ValueError(
            f"the tokenizer has {tokenizer.n_vocab} tokens, the model "
            f"{config.n_vocab}; they do not belong together"
        )
