"""Safetensors files: described first, read tensor by tensor, written whole."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gptcourse.common import whole_file


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: its place, shape and type, known before it is read.

    >>> StoredTensor(Path("a.safetensors"), "wpe.weight", (8, 4), "F16").form
    '(8, 4) F16'
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def form(self) -> str:
        """Return shape and type, for messages."""
        return f"{self.shape} {self.dtype}"

    def read(self) -> Tensor:
        """Return the tensor; it is mapped from the disk and read when it is used.

        The file is opened for this tensor alone: when the tensor goes, so does the
        memory of its pages. One open file would keep the pages of all tensors read.
        """
        with safe_open(self.path, "pt") as file:
            return file.get_tensor(self.name)


def describe_tensors(
    path: str | os.PathLike,
) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Return what a file holds, by name, and its header; no tensor is read.

    Raises: ValueError in one line for a file that is cut off or of another format.

    >>> describe_tensors("model.safetensors")[0]["wpe.weight"].form  # doctest: +SKIP
    '(1024, 768) F32'
    """
    found = {}
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no dictionary)
                part = file.get_slice(name)
                shape = tuple(part.get_shape())
                found[name] = StoredTensor(Path(path), name, shape, part.get_dtype())
            return found, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off or no safetensors file ({error}); use another copy"
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
