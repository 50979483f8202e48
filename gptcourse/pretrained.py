"""Trained weights, in and out: GPT-1 and GPT-2 in the folders of Hugging Face.

Only safetensors and JSON are read, never a pickle: opening a folder runs no code.
"""

import json
import os
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from gptcourse import huggingface_layout as layout
from gptcourse.huggingface_tokenizer import (
    Tokenizer,
    check_tokenizer,
    read_tokenizer,
    write_tokenizer,
)
from gptcourse.model import GPT, GPTConfig
from gptcourse.released import RELEASED, fetch
from gptcourse.tensor_files import describe_tensors, read_tensor, write_tensors
from gptcourse.tokenizer import END_OF_TEXT
from gptcourse.tokenizer_store import read_object, write_text

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
