"""Several processes that train one model together, as `torchrun` starts them.

Without `torchrun` there is one process, and each function does what is right for one.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def joined() -> Iterator[torch.device]:
    """Join the other processes; yield this one's device.

    A group that this process has joined already is left as it is.

    >>> with joined() as device:
    ...     count()
    1
    """
    on_gpu = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)  # its generator is this process's
    if "RANK" not in os.environ or distributed.is_initialized():
        yield device
        return
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """Return how many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return this one's number; the one that writes files and bars has 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def shard(model: nn.Module) -> None:
    """Spread a model's weights over the processes (FSDP2), each block a group."""
    for block in model.h:
        fully_shard(block)
    fully_shard(model)


def averaging(model: nn.Module) -> nn.Module:
    """Return the model to learn with, which averages gradients over the processes."""
    is_sharded = hasattr(model, "unshard")  # FSDP2 averages by itself
    alone = not distributed.is_initialized()
    return model if alone or is_sharded else DistributedDataParallel(model)


def share(rows: Tensor) -> Tensor:
    """Return the rows of a batch that are this process's; ValueError if uneven."""
    if len(rows) % count():
        raise ValueError(
            f"a batch of {len(rows)} rows cannot be shared evenly by "
            f"{count()} processes; choose a multiple"
        )
    return rows[rank() :: count()]


def mean(values: Tensor) -> Tensor:
    """Return the mean of the values over the processes."""
    if distributed.is_initialized():
        distributed.all_reduce(values)
    return values / count()


def leave() -> None:
    """End one of several processes at once, without taking its interpreter down.

    torch's caches hold the group of processes that shared a model's weights, so gloo's
    threads outlive `destroy_process_group`. One that still lets go of a tensor while
    the interpreter is taken down aborts a run that was done (SIGABRT).
    """
    if "RANK" in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
