"""Checkpoints: everything a run needs to go on bit for bit, in one safetensors file.

No pickle: tensors are safetensors, the rest is JSON in the file's header. Reading
checks everything before it changes anything.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.tensor_files import describe_tensors, write_tensors
from gptcourse.training import processes
from gptcourse.training.batches import RandomBatches
from gptcourse.training.history import History
from gptcourse.training.optimizers import Optimizer, parts

FORMAT = "gptcourse-checkpoint-2"
#: what each optimizer keeps for a parameter
STATE_KEYS = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.Muon: {"momentum_buffer"},
}
_SCALAR = torch.tensor(0.0)


def save_checkpoint(
    path: str | os.PathLike,
    model: nn.Module,
    optimizer: Optimizer,
    batches: RandomBatches,
    history: History,
) -> None:
    """Write a run's state to `path`, whole: an earlier file stays until then.

    On several processes all must call this; the first one writes.

    Raises: OSError in one line if the file cannot be written; the old one stays.
    """
    tensors = {f"model.{name}": _whole(t) for name, t in model.state_dict().items()}
    for name, parameter, one in _trained(model, optimizer):
        for key, state in one.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}.{key}"] = _whole(state)
    tensors |= _random(batches)
    header = {
        "format": FORMAT,
        "settings": json.dumps(_settings(model)),
        "history": json.dumps(asdict(history)),
    }
    if processes.rank() == 0:
        write_tensors(path, tensors, header)


def load_checkpoint(
    path: str | os.PathLike,
    model: nn.Module,
    optimizer: Optimizer,
    batches: RandomBatches,
) -> History:
    """Put a run's state back into its parts; return its history.

    Nothing is changed unless the whole file fits. Learning rates and decays are not
    stored, they are those of the optimizer given; and dropout is that of the model.

    Raises: FileNotFoundError; ValueError in one line for a file that is cut off, not
    a checkpoint, of another version, or of another model or optimizer.
    """
    tensors, settings, history = _read(path)
    # Dropout may be another when a run goes on, like a learning rate.
    _compare(path, settings | {"dropout": 0}, _settings(model) | {"dropout": 0})
    weights = {f"model.{name}": t for name, t in model.state_dict().items()}
    states = _states(model, optimizer, tensors)
    shapes = {
        name: _SCALAR if key == "step" else parameter
        for name, (parameter, _, key) in states.items()
    }
    random = _random(batches)
    for name in {"random.cuda"} - (random.keys() & tensors.keys()):
        for side in (random, tensors):  # one of the two machines has no GPU
            side.pop(name, None)
    _compare(path, _forms(tensors), _forms(weights | shapes | random))
    try:
        torch.Generator().set_state(tensors["random.torch"])
        torch.Generator().set_state(tensors["random.batches"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except RuntimeError as error:
        raise ValueError(f"checkpoint {path}: no generator's state ({error})") from None

    with torch.no_grad():
        for name, target in weights.items():
            target.copy_(_spread(tensors[name], target))
    for _, parameter, one in _trained(model, optimizer):
        one.state.pop(parameter, None)
    for name, (parameter, one, key) in states.items():
        one.state[parameter][key] = _spread(tensors[name], parameter)
    torch.set_rng_state(tensors["random.torch"])
    batches.set_state(tensors["random.batches"])
    return history


def load_gpt(path: str | os.PathLike) -> GPT:
    """Return the GPT that a checkpoint holds, ready to write.

    Raises: as `load_checkpoint`, and ValueError if the model was no GPT.
    """
    tensors, settings, _ = _read(path)
    if (settings.pop("model", None), settings.pop("kind", None)) != ("GPTConfig", None):
        raise ValueError(f"checkpoint {path} holds another kind of model than a GPT")
    try:
        model = GPT(GPTConfig(**settings))
    except (TypeError, ValueError) as error:
        raise ValueError(f"checkpoint {path} is of another version ({error})") from None
    weights = {f"model.{name}": t for name, t in model.state_dict().items()}
    kept = {name: t for name, t in tensors.items() if name.startswith("model.")}
    _compare(path, _forms(kept), _forms(weights))
    with torch.no_grad():
        for name, target in weights.items():
            target.copy_(kept[name])
    return model.eval()


def _settings(model: nn.Module) -> dict:
    """Return what says, beside the weights, what a model computes."""
    config = getattr(model, "config", None)
    if not is_dataclass(config):
        return {}
    kind = getattr(model, "kind", None)  # of a classifier's task
    settings = {"model": type(config).__name__, "kind": kind, **asdict(config)}
    return json.loads(json.dumps(settings))  # as they come out of a file


def _compare(path, theirs: dict, ours: dict) -> None:
    """Raise ValueError for the first entry that is missing, left over, or differs."""
    for key in sorted(theirs.keys() | ours.keys()):
        have, want = theirs.get(key, "missing"), ours.get(key, "missing")
        if have != want:
            raise ValueError(
                f"checkpoint {path}: {key} is {have}, in this run {want}; "
                "build the model and the optimizer that were trained"
            )


def _forms(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(t.shape)} {t.dtype}" for name, t in tensors.items()}


def _trained(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple]:
    """Yield (name, parameter, optimizer) for every parameter that is trained."""
    names = {id(p): name for name, p in model.named_parameters()}
    for one in parts(optimizer):
        for group in one.param_groups:
            for parameter in group["params"]:
                if id(parameter) not in names:
                    raise ValueError(
                        "the optimizer trains a tensor that is not among the model's "
                        "parameters; make it for this very model"
                    )
                yield names[id(parameter)], parameter, one


def _states(model, optimizer, tensors) -> dict[str, tuple]:
    """Return where each stored state belongs: parameter, optimizer and key."""
    states = {}
    for name, parameter, one in _trained(model, optimizer):
        prefix = f"optimizer.{name}."
        if any(stored.startswith(prefix) for stored in tensors):
            keys = STATE_KEYS.get(type(one), ())
            states |= {prefix + key: (parameter, one, key) for key in keys}
    return states


def _random(batches: RandomBatches) -> dict[str, Tensor]:
    """Return the states of the generators that a run draws from."""
    states = {"random.torch": torch.get_rng_state(), "random.batches": batches.state()}
    if torch.cuda.is_available():
        states["random.cuda"] = torch.cuda.get_rng_state()
    return states


def _read(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict, History]:
    """Return a checkpoint's tensors, the settings of its model, and its history."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; train with checkpoint=...")
    stored, header = describe_tensors(path)
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a checkpoint of this course and version (format "
            f"{header.get('format')!r}, not {FORMAT!r})"
        )
    try:
        settings, record = (json.loads(header[key]) for key in ("settings", "history"))
        history = History(**record)
        columns = history.loss, history.tokens, history.seconds, history.flops
        same = all(len(column) == len(history.step) for column in columns)
        if not same or record.keys() != asdict(history).keys():
            raise ValueError("the history is not whole")
        settings.keys()
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"checkpoint {path}: its header is damaged or of another version ({error})"
        ) from None
    return {name: one.read() for name, one in stored.items()}, settings, history


def _whole(tensor: Tensor) -> Tensor:
    """Return a tensor in one piece, on the CPU, also where processes share it."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().cpu()


def _spread(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor laid out as `like` is: its device, or its shards."""
    tensor = tensor.to(like.device, copy=True)
    if tensor.ndim == 0 or not isinstance(like, DTensor):
        return tensor
    # Every process has read the whole file: each takes its part, none sends.
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(tensor, mesh, placements, src_data_rank=None)
