"""Safetensors files: read tensor by tensor, written whole."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gptcourse.common import whole_file


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[safe_open]:
    """Open a file to read from: `keys()`, `metadata()`, `get_tensor(name)`.

    A tensor is mapped from the disk and read when it is used. An open file keeps the
    pages of all that was read from it in memory.

    Raises: ValueError in one line for a file that is cut off or of another format, or
    for a tensor that it lacks.

    >>> with opened("model.safetensors") as file:  # doctest: +SKIP
    ...     file.get_tensor("wpe.weight").shape
    torch.Size([1024, 768])
    """
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder; name a safetensors file in it")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off or no safetensors file, or lacks a tensor ({error}); "
            "use another copy"
        ) from None


def write_tensors(
    path: str | os.PathLike, tensors: Mapping[str, Tensor], header: Mapping[str, str]
) -> None:
    """Write a safetensors file whole, or leave the file that was there.

    Raises: OSError in one line if it cannot be written.

    >>> write_tensors("model.safetensors", model.state_dict(), {})  # doctest: +SKIP
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        with whole_file(path) as beside:
            save_file(contiguous, beside, header)
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"{path} could not be written ({error}); free some space or choose "
            "another folder; a file saved earlier is untouched"
        ) from None
