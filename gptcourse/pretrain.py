"""The same loop for more than one machine: `python -m gptcourse.pretrain`.

On a laptop:            python -m gptcourse.pretrain --steps 200
On one machine's GPUs:  torchrun --nproc-per-node 8 -m gptcourse.pretrain
With the weights spread over the processes (FSDP2): add `--shard`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard

from gptcourse.corpora.python_docs import python_docs
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.tokenizers.byte_pair import BytePairTokenizer
from gptcourse.training.batches import RandomBatches
from gptcourse.training.history import History
from gptcourse.training.loop import gains_by_bf16, train, validation_loss
from gptcourse.training.optimizers import adamw, warmup_cosine


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    >>> arguments(["--steps", "5"]).steps
    5
    """
    parser = argparse.ArgumentParser(
        prog="python -m gptcourse.pretrain",
        description="Train a GPT on Python's own documentation or on a text file.",
    )
    add = parser.add_argument
    add("--text", type=Path, help="a UTF-8 text file (default: the documentation)")
    add("--n-vocab", type=int, default=1024, help="size of the BPE vocabulary")
    add("--n-ctx", type=int, default=128, help="context in tokens")
    add("--n-embd", type=int, default=128, help="width")
    add("--n-head", type=int, default=4, help="heads")
    add("--n-layer", type=int, default=4, help="blocks")
    add("--batch-size", type=int, default=16, help="sequences a step, in all")
    add("--steps", type=int, default=1000, help="updates in all")
    add("--lr", type=float, default=1e-3, help="highest learning rate")
    add("--warmup", type=int, default=50, help="updates of linear warm-up")
    add("--every", type=int, default=100, help="updates between measurements")
    add("--seed", type=int, default=0, help="of the weights and the batches")
    add("--checkpoint", type=Path, help="file to write to, and to go on from")
    add("--shard", action="store_true", help="spread the weights (FSDP2)")
    add(
        "--bf16",
        choices=("yes", "no", "auto"),
        default="auto",
        help="matrix products in bfloat16 (auto: where a step gains by it)",
    )
    return parser.parse_args(given)


@contextmanager
def processes():
    """Join the other processes that `torchrun` started; yield this one's device.

    Without `torchrun` there is one process; a group joined already is left as it is.
    """
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local) if torch.cuda.is_available() else "cpu"
    if "RANK" not in os.environ or distributed.is_initialized():
        yield device
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def shard(model: GPT) -> None:
    """Spread a model's weights over the processes, one group of them a block."""
    for block in model.h:
        fully_shard(block)
    fully_shard(model)


def read_text(path: Path) -> tuple[list[str], list[str]]:
    """Return a file's training and validation text; the last 5 % is validation.

    Raises: ValueError if the file is empty or no UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise ValueError(f"{path} is empty; there is nothing to learn from")
    cut = int(len(text) * 0.95)
    return [text[:cut]], [text[cut:]]


def data(args: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens (n,) of the training and the validation text."""
    if args.text is None:
        texts = [part.texts() for part in python_docs().split()]
    else:
        texts = read_text(args.text)
    tokenizer = BytePairTokenizer.train(texts[0], args.n_vocab)
    train_tokens, validation_tokens = (
        torch.tensor([token for text in part for token in tokenizer.encode(text)])
        for part in texts
    )
    return train_tokens, validation_tokens


def main(given: Sequence[str] | None = None) -> History:
    """Train as the command line says; print the losses; return the history."""
    args = arguments(given)
    with processes() as device:
        tokens, validation_tokens = data(args)
        config = GPTConfig(
            args.n_vocab, args.n_ctx, args.n_embd, args.n_head, args.n_layer
        )
        model = GPT(config, torch.Generator().manual_seed(args.seed)).to(device)
        if args.shard:
            shard(model)
        generator = torch.Generator().manual_seed(args.seed + 1)
        batches = RandomBatches(tokens, args.batch_size, args.n_ctx, generator)
        history = train(
            model,
            batches,
            args.steps,
            adamw(model, args.lr),
            schedule=warmup_cosine(args.warmup),
            validation=lambda: validation_loss(
                model, validation_tokens, max_tokens=2**16
            ),
            every=args.every,
            bf16=use_bf16(args.bf16, model, batches),
            checkpoint=args.checkpoint,
            resume=True,
        )
    if int(os.environ.get("RANK", 0)) == 0:
        report(history)
    return history


def use_bf16(choice: str, model: GPT, batches: RandomBatches) -> bool:
    """Return whether to train in bfloat16; processes agree on the first one's word."""
    verdict = choice == "yes" or (choice == "auto" and gains_by_bf16(model, batches))
    if not distributed.is_initialized():
        return verdict
    said = [verdict]
    distributed.broadcast_object_list(said)
    return said[0]


def report(history: History) -> None:
    """Print a line a measurement: step, validation loss, tokens, seconds.

    >>> report(History(step=[1], tokens=[64], seconds=[0.5], validation_step=[1],
    ...                validation_loss=[4.2]))
    step 1: validation loss 4.200 nats/token, 64 tokens, 0.5 s
    """
    for step, loss in zip(
        history.validation_step, history.validation_loss, strict=True
    ):
        tokens, seconds = history.tokens[step - 1], history.seconds[step - 1]
        print(
            f"step {step}: validation loss {loss:.3f} nats/token, "
            f"{tokens:,} tokens, {seconds:.1f} s"
        )


def end() -> None:
    """End one of several processes at once, without taking its interpreter down.

    torch's caches hold the group of processes that shared a model's weights, so gloo's
    threads outlive `destroy_process_group`. One that still lets go of a tensor while
    the interpreter is taken down aborts a run that was done (SIGABRT).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
    if "RANK" in os.environ:
        end()
