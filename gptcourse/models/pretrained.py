"""The tokenizer in a model's folder, as transformers reads and writes it.

The weights that OpenAI released, fetched from the Hugging Face Hub or its cache.

Trained weights, in and out: GPT-1 and GPT-2 in the folders of Hugging Face.

Only safetensors and JSON are read, never a pickle: opening a folder runs no code.
"""

import json
import os
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from gptcourse.common import missing_extra
from gptcourse.models import huggingface as layout
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.tensor_files import describe_tensors, read_tensor, write_tensors
from gptcourse.tokenizers.base import read_object, write_text
from gptcourse.tokenizers.byte_pair import END_OF_TEXT, BytePairTokenizer
from gptcourse.tokenizers.characters import ByteTokenizer
from gptcourse.tokenizers.files import load_huggingface, load_openai, save_huggingface
from gptcourse.tokenizers.words import UNKNOWN, GPT1Tokenizer

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


#: our names (those of `model.PRESETS`) and their places on the Hub
RELEASED = {
    "gpt1": "openai-community/openai-gpt",
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
}
FILES = ("config.json", "model.safetensors", "vocab.json", "merges.txt")


def fetch(name: str) -> Path:
    """Return the folder that holds a released model, downloaded if it is not cached.

    A model that is cached whole needs no network. Without one, the answer comes at
    once: a small request goes before the downloads, which try again for long.

    Raises: ImportError without the extra `online`, ConnectionError where the Hub cannot
    be reached; each in one line.

    >>> fetch("gpt2").is_dir()  # doctest: +SKIP
    True
    """
    try:
        import huggingface_hub as hub
    except ImportError:
        raise missing_extra("released weights need", "online") from None
    repository = RELEASED[name]
    cached = [hub.try_to_load_from_cache(repository, file) for file in FILES]
    # What is not cached is None, or an object where the Hub is known to lack it.
    if not all(isinstance(path, str) for path in cached):
        _refuse_unreachable(hub, name)
        cached = [hub.hf_hub_download(repository, file) for file in FILES]
    return Path(cached[0]).parent


def _refuse_unreachable(hub, name: str) -> None:
    repository = RELEASED[name]
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, FILES[0]))
    except hub.errors.HfHubHTTPError:  # the Hub is there and says what is wrong
        raise
    except Exception as error:  # what stops a request has other names in every version
        why = str(error).partition("\n")[0]
        raise ConnectionError(
            f"cannot reach the Hugging Face Hub for {name!r} ({why}); connect once, or"
            f" copy the folder of {repository} here and give its path"
        ) from None


CONFIG, WEIGHTS = "config.json", "model.safetensors"


def load_pretrained(name: str | os.PathLike) -> tuple[GPT, Tokenizer | None]:
    """Return a trained model, ready to write, and its tokenizer.

    `name` is a folder as transformers and `save_pretrained` write it (the tokenizer is
    None where the folder has none), or one of the released models: "gpt1", "gpt2",
    "gpt2-medium", "gpt2-large", "gpt2-xl". Those come from the Hugging Face Hub (extra
    `online`) and are found in its cache later, without a network.

    Every name, shape and type is checked before a weight is read. Weights go straight
    into the model: besides it, no more than the largest tensor is in memory.

    Raises: FileNotFoundError for a name that is neither; ValueError in one line for a
    folder that holds something else; ImportError without the extra; ConnectionError
    without a network.

    >>> model, tokenizer = load_pretrained("gpt2")  # doctest: +SKIP
    """
    folder = Path(name)
    if not folder.is_dir():
        if str(name) not in RELEASED:
            raise FileNotFoundError(
                f"no folder {name} and no released model of this name; "
                f"known are {', '.join(RELEASED)}"
            )
        folder = fetch(str(name))
    model = _load_model(folder)
    return model, read_tokenizer(folder, model.config)


def save_pretrained(
    model: GPT, folder: str | os.PathLike, tokenizer: Tokenizer | None = None
) -> None:
    """Write a model, and its tokenizer, as transformers reads them.

    `AutoModelForCausalLM.from_pretrained(folder)` and `AutoTokenizer` open the folder,
    and so does `load_pretrained`. Earlier files of these names are replaced. The
    tokenizer is one of byte pairs, of bytes, or GPT-1's; weights become float32.

    Raises: ValueError for blocks or a tokenizer that transformers has no form for;
    OSError in one line if a file cannot be written.

    >>> save_pretrained(model, "my-gpt", tokenizer)  # doctest: +SKIP
    """
    folder = Path(folder)
    end = getattr(tokenizer, "special", {}).get(END_OF_TEXT)
    settings = layout.write_settings(model.config, end)
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.config)
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        write_tokenizer(tokenizer, folder, model.config)
    # Hugging Face's readers ask for the framework that wrote the file.
    write_tensors(folder / WEIGHTS, _as_stored(model), {"format": "pt"})
    write_text(folder / CONFIG, json.dumps(settings, indent=2) + "\n")


def _as_stored(model: GPT) -> dict[str, Tensor]:
    """Return a model's weights by the names, and turned the way, of transformers."""
    tensors = {}
    for name, parameter in layout.named_parameters(model).items():
        tensor = parameter.detach().to("cpu", torch.float32)
        turned = layout.is_transposed(name)
        tensors[name] = rearrange(tensor, "o i -> i o") if turned else tensor
    return tensors


def _load_model(folder: Path) -> GPT:
    """Build the model that a folder describes, check its weights, and read them."""
    _refuse_incomplete(folder)
    config = _read_config(folder / CONFIG)
    with torch.device("meta"):
        model = GPT(config)
    stored = _check(folder / WEIGHTS, model)
    model.to_empty(device="cpu")
    _fill(model, folder / WEIGHTS, stored)
    return model.eval()


def _read_config(path: Path) -> GPTConfig:
    try:
        return layout.read_settings(read_object(path))
    except ValueError as error:
        message = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {message}") from None


@torch.no_grad()
def _fill(model: GPT, path: Path, stored: dict[str, str]) -> None:
    """Copy tensor by tensor from a file to a model; the pages of each are freed."""
    for name, parameter in layout.named_parameters(model).items():
        tensor = read_tensor(path, stored[name])
        turned = layout.is_transposed(name)
        parameter.copy_(rearrange(tensor, "i o -> o i") if turned else tensor)
    if layout.HEAD in stored and not torch.equal(
        read_tensor(path, stored[layout.HEAD]), model.wte.weight
    ):
        raise ValueError(
            f"{path}: {layout.HEAD} differs from the token embedding; "
            "our models tie the two"
        )


def _refuse_incomplete(folder: Path) -> None:
    """Raise ValueError for a folder without settings or without readable weights."""
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} has no {CONFIG}: it is no model's folder")
    if (folder / WEIGHTS).is_file():
        return
    if list(folder.glob("*.bin")):
        why = "has its weights as a pickle (.bin), which could run any code when opened"
    elif list(folder.glob("model-*.safetensors")):
        why = "has its weights in several files"
    else:
        why = "has no weights"
    raise ValueError(f"{folder} {why}: save them as one {WEIGHTS} with transformers")


def _check(path: Path, model: GPT) -> dict[str, str]:
    """Return the stored name of every tensor wanted; ValueError if one does not fit."""
    wanted = layout.named_parameters(model)
    found, stored = {}, {}
    for name, described in describe_tensors(path).items():
        full = layout.full_name(name)
        if full is not None:
            if full in stored:
                raise ValueError(f"{path}: {full} is stored twice")
            found[full], stored[full] = described, name
    for name in sorted(wanted.keys() - found.keys()):
        raise ValueError(f"{path}: {name} is missing; the file is another model's")
    for name in sorted(found.keys() - wanted.keys() - {layout.HEAD}):
        raise ValueError(f"{path}: {stored[name]} is no part of the model described")
    for name, (shape, kind) in found.items():
        parameter = wanted.get(name, model.wte.weight)
        turned = layout.is_transposed(name)
        expected = tuple(parameter.T.shape if turned else parameter.shape)
        if shape != expected or kind != "F32":
            raise ValueError(
                f"{path}: {stored[name]} is {shape} {kind}, "
                f"{CONFIG} asks for {expected} F32"
            )
    return stored
