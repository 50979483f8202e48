"""Other people's tokenizer files: Hugging Face's, OpenAI's and tiktoken's.

A loader refuses merges that no training can have made, because the programs that read
such a file need not agree on how it encodes a text. An error begins with the file.
"""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gptcourse.tokenizers.base import read_object, read_text, write_text
from gptcourse.tokenizers.byte_pair import END_OF_TEXT, GPT2_PATTERN, BytePairTokenizer
from gptcourse.tokenizers.merges import check_merges, find_merges
from gptcourse.tokenizers.vocabulary import from_symbols, read_merge, to_symbols

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


def save_huggingface(tokenizer: BytePairTokenizer, path: str | Path) -> None:
    """Write a `tokenizer.json` for Hugging Face's `tokenizers`.

    That library, unlike ours, reads special tokens in every text as special.

    Raises: ValueError for a special token spelled like a token's printable name.

    >>> save_huggingface(BytePairTokenizer([]), "tokenizer.json")  # doctest: +SKIP
    """
    vocabulary = {to_symbols(token): i for token, i in tokenizer.vocabulary.items()}
    for name in tokenizer.special:
        if name in vocabulary:
            raise ValueError(
                f"special token {name!r} is how tokenizer.json spells token"
                f" {vocabulary[name]}: choose another name"
            )
    data = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": name, **dict.fromkeys(_FLAGS, False), "special": True}
            for name, i in tokenizer.special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": _cut_by(tokenizer.pattern),
        "post_processor": _byte_level(use_regex=False),
        "decoder": _byte_level(use_regex=False),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary | tokenizer.special,
            "merges": [list(map(to_symbols, pair)) for pair in tokenizer.merges],
        },
    }
    write_text(path, json.dumps(data, ensure_ascii=False, indent=1))


def load_huggingface(path: str | Path) -> BytePairTokenizer:
    """Read a byte-level BPE from a `tokenizer.json`, ids, pattern and special tokens.

    Special tokens that a template adds to every text are left to the caller.

    Raises: ValueError for another kind of model, and for a normalizer, a prefix space,
    a pre-tokenizer or an added token that would encode text otherwise than ours.

    >>> load_huggingface("tokenizer.json").n_vocab  # doctest: +SKIP
    50257
    """
    with _naming(path):
        data = read_object(path)
        model = _field(data, "model", dict)
        if model.get("type") != "BPE":
            raise ValueError(f"model is {model.get('type')!r}, not a BPE")
        for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
            if model.get(name):
                raise ValueError(f"model has {name} {model[name]!r}: not byte-level")
        if data.get("normalizer"):
            raise ValueError("the normalizer changes text before it is encoded")
        special = dict(map(_read_added, data.get("added_tokens") or []))
        merges = check_merges(list(map(read_merge, _field(model, "merges", list))))
        ids = _read_vocabulary(_field(model, "vocab", dict), special)
        return BytePairTokenizer(
            merges, special, _read_pattern(data.get("pre_tokenizer")), ids
        )


def load_openai(
    encoder: str | Path,
    merges: str | Path,
    special: Sequence[str] = (END_OF_TEXT,),
) -> BytePairTokenizer:
    """Read GPT-2's released `encoder.json` (ids) and `vocab.bpe` (merges).

    Raises: ValueError for a line that is no merge, a merge that comes twice, a token
    of one file that the other lacks.

    >>> load_openai("encoder.json", "vocab.bpe").special  # doctest: +SKIP
    {'<|endoftext|>': 50256}
    """
    with _naming(merges):
        lines = read_text(merges).splitlines()
        start = 1 if lines and lines[0].startswith("#version") else 0
        pairs = []
        for number, line in enumerate(lines[start:], start=start + 1):
            try:
                pairs.append(read_merge(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
        pairs = check_merges(pairs)
    with _naming(encoder):
        names = read_object(encoder)
        for name in special:
            if name not in names:
                raise ValueError(f"special token {name!r} has no id")
        ids = _read_vocabulary(names, special)
        special = {name: names[name] for name in special}
        return BytePairTokenizer(pairs, special, GPT2_PATTERN, ids)


def load_tiktoken(
    path: str | Path,
    special: Sequence[str] | Mapping[str, int] = (),
    pattern: str = GPT2_PATTERN,
) -> BytePairTokenizer:
    """Read a tiktoken rank file: a line is a token in base64, a space and its rank.

    The file holds neither merges, which are found again from the ranks, nor special
    tokens and pattern: tiktoken keeps those in its code (`tiktoken_ext`).

    Raises: ValueError for a line that is none, a rank or a token that comes twice, a
    rank that is missing, a token that the earlier ones do not join to.

    >>> load_tiktoken("gpt2.tiktoken", ["<|endoftext|>"])  # doctest: +SKIP
    """
    with _naming(path):
        tokens = {}
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            token, rank = _read_rank(line, number)
            if rank in tokens:
                raise ValueError(f"line {number} repeats rank {rank}")
            tokens[rank] = token
        taken = special.values() if isinstance(special, Mapping) else ()
        for rank in range(max(tokens, default=0)):
            if rank not in tokens and rank not in taken:
                raise ValueError(f"rank {rank} is missing")
        ids = {}
        for rank, token in sorted(tokens.items()):
            if token in ids:
                raise ValueError(f"ranks {ids[token]} and {rank} are both {token!r}")
            ids[token] = rank
        merges = find_merges(token for token in ids if len(token) > 1)
        return BytePairTokenizer(merges, special, pattern, ids)


def _byte_level(use_regex: bool) -> dict:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _cut_by(pattern: str) -> dict:
    if pattern == GPT2_PATTERN:
        return _byte_level(use_regex=True)
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]}


def _read_pattern(cut: dict | None) -> str:
    """Return the pattern of a pre-tokenizer, if a pattern can say what it does."""
    match cut:
        case {"type": "ByteLevel", "add_prefix_space": False}:
            if cut.get("use_regex", True):
                return GPT2_PATTERN
        case {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": str(pattern)},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        }:
            return pattern
    raise ValueError(f"the pre-tokenizer is no byte-level cut by a pattern: {cut}")


def _read_added(token: dict) -> tuple[str, int]:
    """Return an added token's name and id; ValueError if it swallows spaces."""
    match token:
        case {"content": str(name), "id": int(i)}:
            for flag in ("single_word", "lstrip", "rstrip"):
                if token.get(flag):
                    raise ValueError(f"added token {name!r} has {flag}, unknown here")
            return name, i
    raise ValueError(f"added token {token} has no content or no id")


def _read_vocabulary(names: dict, special: Iterable[str]) -> dict[bytes, int]:
    left_out = set(special)
    return {from_symbols(name): i for name, i in names.items() if name not in left_out}


def _read_rank(line: str, number: int) -> tuple[bytes, int]:
    try:
        token, rank = line.split(" ")
        token, rank = b64decode(token, validate=True), int(rank)
    except ValueError:
        token, rank = b"", 0
    if not token or rank < 0:
        raise ValueError(f"line {number} is no token in base64, a space and a rank")
    return token, rank


def _field(data: dict, name: str, wanted: type):
    if not isinstance(data.get(name), wanted):
        raise ValueError(f"{name!r} is missing or no {wanted.__name__}")
    return data[name]


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Begin every ValueError's message with the file's name, once."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise ValueError(f"{path}: {error}") from None
