"""Hugging Face's tokenizer files.

A file that we would encode differently from the program it was made for is refused, in
one line that begins with its name.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from gptcourse.tokenizers.base import naming, read_object, read_text, write_text
from gptcourse.tokenizers.byte_pair import END_OF_TEXT, GPT2_PATTERN, BytePairTokenizer
from gptcourse.tokenizers.vocabulary import (
    BytePair,
    from_symbols,
    read_merge,
    to_symbols,
)

TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
VOCABULARY, MERGES = "vocab.json", "merges.txt"
_ADDED, _NAMES = "added_tokens.json", "special_tokens_map.json"
#: what else a folder's tokenizer may consist of, beside a `tokenizer.json` and settings
OTHERS = (VOCABULARY, MERGES, _ADDED, _NAMES)


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
    merges = [tuple(map(to_symbols, pair)) for pair in tokenizer.merges]
    theirs = Tokenizer(models.BPE(vocabulary | tokenizer.special, merges))
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if tokenizer.pattern != GPT2_PATTERN:
        split = pre_tokenizers.Split(Regex(tokenizer.pattern), "isolated")
        cut.use_regex = False
        cut = pre_tokenizers.Sequence([split, cut])
    theirs.pre_tokenizer, theirs.decoder = cut, decoders.ByteLevel()
    theirs.add_special_tokens(list(tokenizer.special))
    write_text(path, theirs.to_str(pretty=True))


def load_huggingface(path: str | Path) -> BytePairTokenizer:
    """Read a byte-level BPE from a `tokenizer.json` or from a model's folder.

    A folder has `tokenizer.json`, or else GPT-2's `vocab.json` and `merges.txt`; tokens
    that the files beside them add are special tokens here. Special tokens that a
    template adds to every text are left to the caller.

    Raises: ValueError for another kind of model; for a normalizer, a prefix space, a
    pre-tokenizer or an added token that would encode text otherwise than ours; for ids
    and merges that do not belong together; FileNotFoundError.

    >>> load_huggingface("tokenizer.json").n_vocab  # doctest: +SKIP
    50257
    """
    path = Path(path)
    if not path.is_dir():
        return _read_file(path, {})
    with naming(path):
        added = _read_beside(path)
    if (path / TOKENIZER).is_file():
        return _read_file(path / TOKENIZER, added)
    return _read_two_files(path, added)


def _read_file(path: Path, added: Mapping[str, int | None]) -> BytePairTokenizer:
    with naming(path):
        data = read_object(path)
        model = _field(data, "model", dict)
        if model.get("type") != "BPE":
            raise ValueError(f"model is {model.get('type')!r}, not a BPE")
        for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
            if model.get(name):
                raise ValueError(f"model has {name} {model[name]!r}: not byte-level")
        if data.get("normalizer"):
            raise ValueError("the normalizer changes text before it is encoded")
        tokens = _field({"added_tokens": []} | data, "added_tokens", list)
        special = dict(map(_read_added, tokens))
        special = _with_added(special, added)
        merges = list(map(read_merge, _field(model, "merges", list)))
        ids = _read_vocabulary(_field(model, "vocab", dict), special)
        pattern = _read_pattern(data.get("pre_tokenizer"))
        return BytePairTokenizer(merges, special, pattern, ids)


def _read_two_files(folder: Path, added: Mapping[str, int | None]) -> BytePairTokenizer:
    with naming(folder):
        merges = list(_read_merges(folder / MERGES))
        names = read_object(folder / VOCABULARY)
        declared = {END_OF_TEXT: None} | added
        special = {name: names[name] for name in declared if name in names}
        special = _with_added(special, declared)
        ids = _read_vocabulary(names, special)
        return BytePairTokenizer(merges, special, GPT2_PATTERN, ids)


def _read_merges(path: Path) -> Iterator[BytePair]:
    for number, line in enumerate(read_text(path).rstrip().splitlines(), start=1):
        if number > 1 or not line.startswith("#version"):
            with naming(path), naming(f"line {number}"):
                yield read_merge(line)


def _read_beside(folder: Path) -> dict[str, int | None]:
    """Return the special tokens that a folder's other files add; None: no id is given.

    Raises: ValueError for a token that is cut out of every text, special or not.
    """
    settings, names, ids = (
        read_object(folder / name) if (folder / name).is_file() else {}
        for name in (SETTINGS, _NAMES, _ADDED)
    )
    if settings.get("add_prefix_space"):
        raise ValueError(f"{SETTINGS} adds a space before every text")
    special = dict.fromkeys(_special_names(settings | names))
    numbered = {"added_tokens_decoder": {}} | settings
    for i, token in _field(numbered, "added_tokens_decoder", dict).items():
        name, i = _read_added(token, int(i))
        special[name] = i
    for name, i in ids.items():
        token = {"content": name, "special": name in special}
        special |= [_read_added(token, i)]
    return special


def _special_names(settings: dict) -> Iterator[str]:
    for key, value in settings.items():
        if key.endswith(("_token", "_special_tokens")):
            for token in value if isinstance(value, list) else [value]:
                match token:
                    case str(name):
                        yield name
                    case {"content": str()}:
                        yield _read_added(token | {"special": True}, 0)[0]


def _with_added(
    special: dict[str, int], added: Mapping[str, int | None]
) -> dict[str, int]:
    for name, i in added.items():
        if special.setdefault(name, i) is None:
            raise ValueError(f"special token {name!r} has no id")
        if i not in (None, special[name]):
            raise ValueError(f"special token {name!r} has ids {special[name]} and {i}")
    return special


def _read_added(token: dict, i: int | None = None) -> tuple[str, int]:
    """Return an added token's name and id; ValueError if ours would read it otherwise.

    One that is not special is cut out of every text before the merges are applied.
    """
    match token, i:
        case ({"content": str(name), "id": int(i)}, None) | (
            {"content": str(name)},
            int(i),
        ):
            for flag in ("single_word", "lstrip", "rstrip"):
                if token.get(flag):
                    raise ValueError(f"added token {name!r} has {flag}, unknown here")
            if not token.get("special"):
                raise ValueError(
                    f"added token {name!r} is cut out of every text, unknown here: it"
                    " is no special token"
                )
            return name, i
    raise ValueError(f"added token {token} has no content or no id")


def _read_vocabulary(names: dict, special: Mapping[str, int]) -> dict[bytes, int]:
    ids = {from_symbols(name): i for name, i in names.items() if name not in special}
    last = max((i for i in ids.values() if type(i) is int), default=-1)
    above = sorted(i for i in special.values() if i > last)
    if above != [last + 1 + number for number in range(len(above))]:
        raise ValueError(
            f"special tokens have the ids {above}, with a gap after {last}"
        )
    return ids


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


def _field(data: dict, name: str, wanted: type):
    if not isinstance(data.get(name), wanted):
        raise ValueError(f"{name!r} is missing or no {wanted.__name__}")
    return data[name]
