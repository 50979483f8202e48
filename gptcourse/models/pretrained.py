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
from gptcourse.models.tensor_files import StoredTensor, describe_tensors, write_tensors
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
    a `config.json`; what else is called so is passed over. Weights may lie in several
    files and in half precision; the model's are float32. Beside the model, the largest
    tensor is all that takes memory. GPT-1's tokenizer is none of ours, as its words are
    cut by other libraries: `transformers.AutoTokenizer` reads it.

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
    end = getattr(tokenizer, "special", {}).get(END_OF_TEXT)
    settings = layout.write_settings(model.config, end)
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.config)
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
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
    """Build the model that a folder describes, check its weights, and read them."""
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} has no {CONFIG}: it is no model's folder")
    with naming(path), torch.device("meta"):
        model = GPT(layout.read_settings(read_object(path)))
    stored = _stored(folder)
    _check(folder, model, stored)
    _fill(model.to_empty(device="cpu"), stored)
    return model.eval()


def _stored(folder: Path) -> dict[str, StoredTensor]:
    """Return a folder's weights by their full names, from one file or several."""
    if (folder / WEIGHTS).is_file():
        found, _ = describe_tensors(folder / WEIGHTS)
    elif (folder / INDEX).is_file():
        found = _in_several_files(folder / INDEX)
    elif list(folder.glob("*.bin")):
        raise ValueError(
            f"{folder} has its weights as a pickle (.bin), which could run any code "
            f"when opened: save them as {WEIGHTS} with transformers"
        )
    else:
        raise ValueError(f"{folder} has no weights: it needs {WEIGHTS} or {INDEX}")
    stored = {}
    for tensor in found.values():
        name = layout.full_name(tensor.name)
        if name in stored:
            raise ValueError(f"{folder}: {name} is stored twice")
        if name is not None:
            stored[name] = tensor
    return stored


def _in_several_files(index: Path) -> dict[str, StoredTensor]:
    """Return the tensors that an index names, each from the file that it says."""
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict):
        raise ValueError(f"{index} has no weight_map, which says where a tensor lies")
    files, found = {}, {}
    for name, file in places.items():
        # A plain name: an index is somebody else's, and no path may leave the folder.
        if not isinstance(file, str) or Path(file).name != file:
            raise ValueError(f"{index}: {name} is in {file!r}, no file of this folder")
        if file not in files:
            if not (index.parent / file).is_file():
                raise ValueError(f"{index}: {file} is missing; fetch the folder again")
            files[file], _ = describe_tensors(index.parent / file)
        if name not in files[file]:
            raise ValueError(f"{index}: {name} is not in {file}; fetch both again")
        found[name] = files[file][name]
    return found


def _check(folder: Path, model: GPT, stored: dict[str, StoredTensor]) -> None:
    """Raise ValueError for the first tensor that is missing, left over or unfit."""
    wanted = layout.named_parameters(model)
    for name in sorted(wanted.keys() - stored.keys()):
        raise ValueError(
            f"{folder}: {name} is missing; the weights are another model's"
        )
    for name in sorted(stored.keys() - wanted.keys() - {layout.HEAD}):
        raise ValueError(f"{folder}: {stored[name].name} is no part of the model")
    for name, tensor in stored.items():
        shape = tuple(_turn(name, wanted.get(name, model.wte.weight)).shape)
        if tensor.shape != shape or tensor.dtype not in ("F32", "F16", "BF16"):
            raise ValueError(
                f"{tensor.path}: {tensor.name} is {tensor.form}, "
                f"{CONFIG} asks for {shape} F32, F16 or BF16"
            )


@torch.no_grad()
def _fill(model: GPT, stored: dict[str, StoredTensor]) -> None:
    """Copy tensor by tensor from the files to a model, which makes each float32."""
    for name, parameter in layout.named_parameters(model).items():
        parameter.copy_(_turn(name, stored[name].read()))
    if layout.HEAD not in stored:
        return
    head = stored[layout.HEAD].read()
    for part, rows in zip(head.split(1024), model.wte.weight.split(1024), strict=True):
        if not torch.equal(part, rows.to(part.dtype)):
            raise ValueError(
                f"{stored[layout.HEAD].path}: {layout.HEAD} differs from the token "
                "embedding; our models tie the two"
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
    for only_cached in (True, False):
        try:
            folder = snapshot_download(
                repository, allow_patterns=FILES, local_files_only=only_cached
            )
        except Exception as error:  # it has other names in every version
            why = str(error.__cause__ or error).partition("\n")[0]
            continue
        if all(Path(folder, file).is_file() for file in FILES):
            return Path(folder)
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
    for name in OTHERS:
        (folder / name).unlink(missing_ok=True)
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
