"""Checkpoints: everything a run needs to go on bit for bit, in one safetensors file.

No pickle: tensors are safetensors, the rest is JSON in the file's header. Reading
checks everything before it changes anything.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from hashlib import sha256

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.models.sparse import SparseConfig
from gptcourse.models.tensor_files import opened, write_tensors
from gptcourse.training import processes
from gptcourse.training.batches import RandomBatches
from gptcourse.training.history import History
from gptcourse.training.optimizers import Optimizer, parts

FORMAT = "gptcourse-checkpoint-2"
#: what may change when a run goes on, as the learning rate may
MAY_DIFFER = ("dropout", "random.cuda")
#: what each optimizer keeps for a parameter
STATE_KEYS = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.Muon: ("momentum_buffer",),
}
#: what the header says in JSON, beside the format
HEADER = {"settings": dict, "batches": dict, "history": dict, "tensors": list}
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
    ValueError for an optimizer whose state could not be read back.
    """
    tensors = {name: _whole(weight) for name, weight in _weights(model).items()}
    for name, parameter, one in _trained(model, optimizer):
        for key, state in one.state.get(parameter, {}).items():
            if key not in STATE_KEYS.get(type(one), ()):
                raise ValueError(
                    f"a checkpoint cannot keep the {key} of {type(one).__name__}; use "
                    "plain AdamW or Muon, or train without a checkpoint"
                )
            tensors[f"{name}.{key}"] = _whole(state)
    for name, generator in _generators(batches).items():
        tensors[name] = generator.get_state()
    header = {
        "format": FORMAT,
        "settings": json.dumps(_settings(model)),
        "batches": json.dumps(_drawn_from(batches)),
        "history": json.dumps(asdict(history)),
        "tensors": json.dumps(sorted(tensors)),
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
    tensors, kept, history = _read(path)
    states = _states(model, optimizer, kept["tensors"])
    generators = _generators(batches)
    expected = _weights(model) | {name: like for name, (like, *_) in states.items()}
    expected |= {name: one.get_state() for name, one in generators.items()}
    ours = _settings(model) | _drawn_from(batches) | _forms(expected)
    _compare(path, kept["settings"] | kept["batches"] | _forms(tensors), ours)
    restored = generators.keys() & tensors.keys()
    try:
        for name in restored:
            torch.Generator(generators[name].device).set_state(tensors[name])
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"checkpoint {path}: no generator's state ({error})") from None

    _fill(model, tensors)
    for one in parts(optimizer):
        one.state.clear()
    for name, (_, one, parameter, key) in states.items():
        one.state[parameter][key] = _spread(tensors[name], parameter)
    for name in restored:
        generators[name].set_state(tensors[name])
    return history


def load_gpt(path: str | os.PathLike) -> GPT:
    """Return the GPT that a checkpoint holds, ready to write.

    Raises: as `load_checkpoint`, and ValueError if the model was no GPT.
    """
    tensors, kept, _ = _read(path)
    try:
        with torch.device("meta"):  # no memory is taken before the forms fit
            kind = SparseConfig if "masks" in kept["settings"] else GPTConfig
            model = GPT(kind(**kept["settings"]))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"checkpoint {path} holds another model than this version's GPT ({error})"
        ) from None
    weights = {name: t for name, t in tensors.items() if name.startswith("model.")}
    _compare(path, _forms(weights), _forms(_weights(model)))
    _fill(model.to_empty(device="cpu"), weights)
    return model.eval()


def _settings(model: nn.Module) -> dict:
    """Return what says, beside the weights, what a model computes."""
    config = getattr(model, "config", None)
    settings = asdict(config) if is_dataclass(config) else {}
    # A classifier's kind of task.
    return settings | ({"kind": model.kind} if hasattr(model, "kind") else {})


def _drawn_from(batches: RandomBatches) -> dict:
    """Return what says, beside the generator, which batches come next."""
    text = sha256(batches.tokens.cpu().contiguous().numpy()).hexdigest()
    return {"batches.text": text, "batches.shape": [batches.batch_size, batches.n_ctx]}


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {f"model.{name}": t for name, t in model.state_dict().items()}


def _trained(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple]:
    """Yield (name, parameter, optimizer) for every parameter that is trained."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    for one in parts(optimizer):
        for group in one.param_groups:
            for parameter in group["params"]:
                if parameter in names:
                    yield f"optimizer.{names[parameter]}", parameter, one


def _states(model, optimizer, names) -> dict[str, tuple]:
    """Return by name what each state is like, and where it belongs."""
    # A parameter that has learnt nothing yet has no state.
    learnt = {name.rpartition(".")[0] for name in names}
    return {
        f"{name}.{key}": (_SCALAR if key == "step" else parameter, one, parameter, key)
        for name, parameter, one in _trained(model, optimizer)
        if name in learnt
        for key in STATE_KEYS.get(type(one), ())
    }


def _generators(batches: RandomBatches) -> dict[str, torch.Generator]:
    """Return the generators that a run draws from."""
    found = {
        "random.torch": torch.default_generator,
        "random.batches": batches.generator,
    }
    if torch.cuda.is_available():
        device = torch.cuda.current_device()  # asked first, as that starts CUDA
        found["random.cuda"] = torch.cuda.default_generators[device]
    return found


def _forms(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(t.shape)} {t.dtype}" for name, t in tensors.items()}


def _compare(path, theirs: dict, ours: dict) -> None:
    """Raise ValueError for the first entry that is missing, left over, or differs."""
    for key in [*ours, *theirs]:
        have, want = theirs.get(key, "missing"), ours.get(key, "missing")
        if have != want and key not in MAY_DIFFER:
            raise ValueError(
                f"checkpoint {path}: {key} is {have}, in this run {want}; "
                "go on with the model, the optimizer and the batches of that run"
            )


def _read(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict, History]:
    """Return a checkpoint's tensors, what its header says, and its history."""
    with opened(path) as file:
        header = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        if header["format"] != FORMAT:
            raise ValueError(header["format"])
        kept = {key: json.loads(header[key]) for key in HEADER}
        history = History(**kept["history"])
        if kept["history"].keys() != vars(history).keys() or not history.is_whole():
            raise ValueError("the history is not whole")
        if not all(isinstance(kept[key], kind) for key, kind in HEADER.items()):
            raise ValueError("a part of another type")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of this course and version, or its header is "
            f"damaged ({error!r})"
        ) from None
    return tensors, kept, history


def _whole(tensor: Tensor) -> Tensor:
    """Return a tensor in one piece, on the CPU, also where processes share it."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().cpu()


@torch.no_grad()
def _fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    for name, target in _weights(model).items():
        target.copy_(_spread(tensors[name], target))


def _spread(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor laid out as `like` is: its device, or its shards."""
    tensor = tensor.to(like.device, copy=True)
    if tensor.ndim == 0 or not isinstance(like, DTensor):
        return tensor
    # Every process has read the whole file: each takes its part, none sends.
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(tensor, mesh, placements, src_data_rank=None)
