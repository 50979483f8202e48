"""Trained weights, in and out: GPT-1 and GPT-2 in the folders of Hugging Face.

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
from gptcourse.models.tensor_files import opened, write_tensors
from gptcourse.tokenizers.base import naming, read_object, write_text
from gptcourse.tokenizers.byte_pair import END_OF_TEXT, BytePairTokenizer
from gptcourse.tokenizers.characters import ByteTokenizer
from gptcourse.tokenizers.files import (
    MERGES,
    OTHERS,
    SETTINGS,
    TOKENIZER,
    VOCABULARY,
    load_huggingface,
    save_huggingface,
)

Tokenizer = BytePairTokenizer | ByteTokenizer
CONFIG, WEIGHTS = "config.json", "model.safetensors"
INDEX = "model.safetensors.index.json"
READABLE = (torch.float32, torch.float16, torch.bfloat16)
#: our names (those of `PRESETS`) and their places on the Hub
RELEASED = {
    "gpt1": "openai-community/openai-gpt",
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
}
FILES = (CONFIG, WEIGHTS, VOCABULARY, MERGES)


def load_pretrained(name: str | os.PathLike) -> tuple[GPT, Tokenizer | None]:
    """Return a model, ready to write, and its tokenizer, None if there is none of ours.

    `name` is a folder as transformers or `save_pretrained` writes it, or the name of a
    released model: "gpt1", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", which is
    fetched from the Hub or its cache. A folder of such a name counts only if it holds
    a `config.json`; other files or folders of that name are ignored. Weights may lie in
    several files and in half precision; the model's are float32. Beside the model, the
    largest tensor is all that takes memory. For GPT-1 there is no tokenizer here, since
    it relies on spaCy and ftfy; `transformers.AutoTokenizer` reads it.

    Raises: FileNotFoundError if there is neither; ValueError in one line for a
    folder that holds something else; ImportError without the extra; ConnectionError
    without a network.

    >>> model, tokenizer = load_pretrained("gpt2")  # doctest: +SKIP
    """
    folder = Path(name)
    if name in RELEASED and not (folder / CONFIG).is_file():
        folder = fetch(name)
    elif not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {name} and no released model of this name; "
            f"known are {', '.join(RELEASED)}"
        )
    model = _load_model(folder)
    return model, read_tokenizer(folder, model.config)


def save_pretrained(
    model: GPT, folder: str | os.PathLike, tokenizer: Tokenizer | None = None
) -> None:
    """Write a model, and its tokenizer, as transformers reads them.

    `AutoModelForCausalLM.from_pretrained(folder)` and `AutoTokenizer` open the folder,
    and so does `load_pretrained`. Earlier files of these names are replaced. The
    tokenizer is one of byte pairs or of bytes; weights become float32.

    Raises: ValueError for blocks or a tokenizer that transformers has no form for;
    OSError in one line if a file cannot be written.

    >>> save_pretrained(model, "my-gpt", tokenizer)  # doctest: +SKIP
    """
    folder = Path(folder)
    for name in (TOKENIZER, SETTINGS, *OTHERS):  # of a model saved here before
        (folder / name).unlink(missing_ok=True)
    end = getattr(tokenizer, "special", {}).get(END_OF_TEXT)
    settings = layout.write_settings(model.config, end)
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.config)
        write_tokenizer(tokenizer, folder, model.config)
    tensors = {
        name: _turn(name, parameter.detach().to("cpu", torch.float32))
        for name, parameter in layout.named_parameters(model).items()
    }
    # Hugging Face's readers ask for the framework that wrote the file.
    write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
    write_text(folder / CONFIG, json.dumps(settings, indent=2) + "\n")


def _turn(name: str, tensor: Tensor) -> Tensor:
    """Turn a matrix from our way round to that of transformers, or back."""
    return rearrange(tensor, "o i -> i o") if layout.is_transposed(name) else tensor


def _load_model(folder: Path) -> GPT:
    """Build the model that a folder describes and read its weights."""
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} has no {CONFIG}: it is no model's folder")
    with naming(path), torch.device("meta"):
        model = GPT(layout.read_settings(read_object(path)))
    places = {}
    for stored, file in _files(folder).items():
        name = layout.full_name(stored)
        if name in places:
            raise ValueError(f"{folder}: {name} is stored twice")
        if name is not None:
            places[name] = file, stored
    wanted = layout.named_parameters(model).keys()
    for name in sorted((wanted ^ places.keys()) - {layout.HEAD}):
        what = "missing" if name in wanted else "no part of the model"
        raise ValueError(f"{folder}: {name} is {what}; the weights are another model's")
    _fill(model.to_empty(device="cpu"), places)
    return model.eval()


def _files(folder: Path) -> dict[str, Path]:
    """Return the file of each tensor that a folder holds: one for all, or several."""
    weights, index = folder / WEIGHTS, folder / INDEX
    if weights.is_file():
        with opened(weights) as file:
            return dict.fromkeys(file.keys(), weights)
    if not index.is_file():
        raise ValueError(
            f"{folder} has no weights: it needs {WEIGHTS} or {INDEX}; a pickle (.bin), "
            "which could run any code when opened, is saved anew with transformers"
        )
    files = read_object(index).get("weight_map")
    if not isinstance(files, dict):
        raise ValueError(f"{index} has no weight_map, which says where a tensor lies")
    for name, file in files.items():
        # A plain name: an index is somebody else's, and no path may leave the folder.
        plain = isinstance(file, str) and Path(file).name == file
        if not plain or not (folder / file).is_file():
            raise ValueError(
                f"{index}: {name} is in {file!r}, no file of this folder; fetch both"
            )
    return {name: folder / file for name, file in files.items()}


@torch.no_grad()
def _fill(model: GPT, places: dict[str, tuple[Path, str]]) -> None:
    """Copy tensor by tensor from the files to a model, which makes each float32."""
    targets = layout.named_parameters(model)
    if layout.HEAD in places:
        targets[layout.HEAD] = model.wte.weight
    for name, parameter in targets.items():
        path, stored = places[name]
        # Opened for this tensor alone: the memory of its pages goes when it does.
        with opened(path) as file:
            tensor = file.get_tensor(stored)
        target = _turn(name, parameter)
        if tensor.shape != target.shape or tensor.dtype not in READABLE:
            raise ValueError(
                f"{path}: {stored} is {tuple(tensor.shape)} {tensor.dtype}, {CONFIG} "
                f"asks for {tuple(target.shape)} float32, float16 or bfloat16"
            )
        if name != layout.HEAD:
            target.copy_(tensor)
        elif not torch.equal(tensor, target.to(tensor.dtype)):
            raise ValueError(
                f"{path}: {stored} differs from the token embedding; ours is tied to it"
            )


def fetch(name: str) -> Path:
    """Return the folder that holds a released model, downloaded if it is not cached.

    A model that is cached whole needs no network.

    Raises: ImportError without the extra `online`, ConnectionError where the files
    cannot be had; each in one line.

    >>> fetch("gpt2").is_dir()  # doctest: +SKIP
    True
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise missing_extra("released weights need", "online") from None
    repository, why = RELEASED[name], "not all of its files came"
    try:  # without a network, this is the folder in the cache
        folder = Path(snapshot_download(repository, allow_patterns=FILES))
        if all((folder / file).is_file() for file in FILES):
            return folder
    except Exception as error:  # it has other names in every version
        why = str(error.__cause__ or error).partition("\n")[0]
    raise ConnectionError(
        f"cannot fetch {name!r} from the Hugging Face Hub ({why}); connect once, or "
        f"copy the folder of {repository} here and give its path"
    )


def read_tokenizer(folder: Path, config: GPTConfig) -> BytePairTokenizer | None:
    """Return the tokenizer of a model's folder; None if there is none, or GPT-1's.

    Raises: ValueError for a file that is damaged or that we would read otherwise than
    transformers, and for ids that the model lacks.

    >>> read_tokenizer(Path("no-such-folder"), config=None)
    """
    if (folder / TOKENIZER).is_file():
        model = read_object(folder / TOKENIZER).get("model")
        of_words = isinstance(model, dict) and model.get("end_of_word_suffix")
    elif (folder / VOCABULARY).is_file() and (folder / MERGES).is_file():
        of_words = True
    else:
        return None
    if of_words and config.block == "post_norm":
        return None
    tokenizer = load_huggingface(folder)
    with naming(folder):
        check_tokenizer(tokenizer, config)
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
    save_huggingface(tokenizer, folder / TOKENIZER)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if END_OF_TEXT in tokenizer.special:
        settings |= {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
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
