"""Safetensors files: read tensor by tensor, written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(
    path: str | os.PathLike, tensors: Mapping[str, Tensor], header: Mapping[str, str]
) -> None:
    """Write a safetensors file beside `path`, then give it that name.

    Raises: OSError in one line if it cannot be written; an older file stays.

    >>> write_tensors("model.safetensors", model.state_dict(), {})  # doctest: +SKIP
    """
    path = Path(path)
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    try:
        save_file({name: t.contiguous() for name, t in tensors.items()}, half, header)
        os.replace(half, path)
    except (OSError, SafetensorError) as error:
        half.unlink(missing_ok=True)
        raise OSError(
            f"{path} could not be written ({error}); free some space or choose "
            "another folder; a file saved earlier is untouched"
        ) from None


def describe_tensors(path: str | os.PathLike) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and type of every tensor in a file by name, without reading any.

    Raises: ValueError in one line for a file that is cut off or of another format.

    >>> describe_tensors("model.safetensors")["wpe.weight"]  # doctest: +SKIP
    ((1024, 768), 'F32')
    """
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            parts = [file.get_slice(name) for name in names]
            described = [(tuple(part.get_shape()), part.get_dtype()) for part in parts]
            return dict(zip(names, described, strict=True))
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off or no safetensors file ({error}); fetch it again"
        ) from None


def read_tensor(path: str | os.PathLike, name: str) -> Tensor:
    """Return one tensor of a file; it is mapped from the disk, not yet read.

    The file is opened for this tensor alone: when the tensor goes, so does the memory
    that its pages took. One open file would keep the pages of all tensors read.

    >>> read_tensor("model.safetensors", "wpe.weight").shape  # doctest: +SKIP
    torch.Size([1024, 768])
    """
    with safe_open(path, "pt") as file:
        return file.get_tensor(name)
