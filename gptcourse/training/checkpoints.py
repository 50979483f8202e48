"""Checkpoints: everything a run needs to go on bit for bit, in one safetensors file.

No pickle: tensors are safetensors, the rest is JSON in the file's header.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.tensor_files import write_tensors
from gptcourse.training.batches import RandomBatches
from gptcourse.training.history import History
from gptcourse.training.optimizers import Optimizer, parts

FORMAT = "gptcourse-checkpoint-1"


def save_checkpoint(
    path: str | os.PathLike,
    model: nn.Module,
    optimizer: Optimizer,
    batches: RandomBatches,
    history: History,
) -> None:
    """Write a run's state to `path`; an earlier file there is replaced at the end.

    The new file is written beside the old one and takes its place only when whole.
    On several processes all must call this; the first one writes.

    Raises: OSError in one line if the file cannot be written; the old one stays.
    """
    tensors = {f"model.{name}": _whole(t) for name, t in model.state_dict().items()}
    tensors |= {name: _whole(t) for name, t in _optimizer_state(model, optimizer)}
    tensors["random.torch"] = torch.get_rng_state()
    tensors["random.batches"] = batches.state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    config = getattr(model, "config", None)
    header = {
        "format": FORMAT,
        "config": json.dumps(vars(config) if isinstance(config, GPTConfig) else None),
        "history": json.dumps(history.as_dict()),
    }
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        write_tensors(path, tensors, header)


def load_checkpoint(
    path: str | os.PathLike,
    model: nn.Module,
    optimizer: Optimizer,
    batches: RandomBatches,
) -> History:
    """Put a run's state back into its parts; return its history.

    Nothing is changed unless the whole file fits. Learning rates and decays are not
    stored: they come from the optimiser given.

    Raises: FileNotFoundError; ValueError in one line for a file that is cut off, not
    a checkpoint, or of another model or optimiser.
    """
    tensors, header = _read(path)
    with torch.no_grad():
        _match(path, "model.", model.state_dict(), tensors)
        states = _states_to_load(path, model, optimizer, tensors)
        for name, target in model.state_dict().items():
            target.copy_(_spread(tensors[f"model.{name}"], target))
    for parameter, owner, state in states:
        owner.state[parameter] = state
    torch.set_rng_state(tensors["random.torch"])
    if torch.cuda.is_available() and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"])
    batches.set_state(tensors["random.batches"])
    return History(**json.loads(header["history"]))


def load_gpt(path: str | os.PathLike) -> GPT:
    """Return the GPT that a checkpoint holds, ready to write.

    Raises: as `load_checkpoint`, and ValueError if the model was no GPT.
    """
    tensors, header = _read(path)
    config = json.loads(header["config"])
    if config is None:
        raise ValueError(f"checkpoint {path} holds another kind of model than a GPT")
    model = GPT(GPTConfig(**config))
    _match(path, "model.", model.state_dict(), tensors)
    model.load_state_dict(
        {name: tensors[f"model.{name}"] for name in model.state_dict()}
    )
    return model.eval()


def _read(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; train with checkpoint=...")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"checkpoint {path} is cut off or no safetensors file ({error}); "
            "use an earlier one"
        ) from None
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file but not a checkpoint of this course "
            f"(format {header.get('format')!r}, not {FORMAT!r})"
        )
    return tensors, header


def _match(path, prefix: str, wanted: dict[str, Tensor], tensors: dict) -> None:
    """Raise ValueError for the first tensor that is missing, left over, or differs."""
    stored = {
        n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)
    }
    for name in sorted(wanted.keys() | stored.keys()):
        have, want = stored.get(name), wanted.get(name)
        if have is None or want is None:
            where = "the model" if have is None else "the checkpoint"
            raise ValueError(
                f"checkpoint {path}: {prefix}{name} is in {where} alone; "
                "build the model with the settings it was trained with"
            )
        if have.shape != want.shape or have.dtype != want.dtype:
            raise ValueError(
                f"checkpoint {path}: {prefix}{name} is {tuple(have.shape)} "
                f"{have.dtype}, the model's is {tuple(want.shape)} {want.dtype}; "
                "build the model with the settings it was trained with"
            )


def _optimizer_state(
    model: nn.Module, optimizer: Optimizer
) -> Iterator[tuple[str, Tensor]]:
    names = {id(p): name for name, p in model.named_parameters()}
    for one in parts(optimizer):
        for parameter, state in one.state.items():
            for key, tensor in state.items():
                yield f"optimizer.{names[id(parameter)]}.{key}", tensor


def _states_to_load(path, model: nn.Module, optimizer: Optimizer, tensors: dict):
    """Return (parameter, optimiser, state) for all parameters, checked."""
    names = {id(p): name for name, p in model.named_parameters()}
    loaded = []
    for one in parts(optimizer):
        keys = STATE_KEYS[type(one)]
        for parameter in (p for group in one.param_groups for p in group["params"]):
            prefix = f"optimizer.{names[id(parameter)]}."
            stored = [n.removeprefix(prefix) for n in tensors if n.startswith(prefix)]
            if stored and set(stored) != keys:
                raise ValueError(
                    f"checkpoint {path}: {prefix[:-1]} has {sorted(stored)}, "
                    f"{type(one).__name__} needs {sorted(keys)}; "
                    "use the optimiser it was trained with"
                )
            state = {key: _placed(tensors[prefix + key], parameter) for key in stored}
            loaded.append((parameter, one, state))
    return loaded


#: what each optimiser keeps for a parameter
STATE_KEYS = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.Muon: {"momentum_buffer"},
}


def _placed(state: Tensor, parameter: Tensor) -> Tensor:
    return state.to(parameter.device) if state.ndim == 0 else _spread(state, parameter)


def _whole(tensor: Tensor) -> Tensor:
    """Return a tensor in one piece, on the CPU, also where processes share it."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().cpu()


def _spread(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor laid out as `like` is: its device, or its shards."""
    if isinstance(like, DTensor):
        # Every process has read the whole file: each takes its part, none sends.
        return distribute_tensor(
            tensor.to(like.device),
            like.device_mesh,
            like.placements,
            src_data_rank=None,
        )
    return tensor.to(like.device)
