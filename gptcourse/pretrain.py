"""The same loop for more than one machine: `python -m gptcourse.pretrain`.

On a laptop:            python -m gptcourse.pretrain --steps 200
On one machine's GPUs:  torchrun --nproc-per-node 8 -m gptcourse.pretrain
With the weights spread over the processes (FSDP2): add `--shard`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gptcourse.corpora.python_docs import python_docs
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.tokenizers.base import read_text
from gptcourse.tokenizers.byte_pair import BytePairTokenizer
from gptcourse.training import processes
from gptcourse.training.batches import RandomBatches, windows_in_order
from gptcourse.training.history import History
from gptcourse.training.loop import train, validation_loss
from gptcourse.training.optimizers import adamw, warmup_cosine

#: tokens of the validation text that are measured
MEASURED = 2**16


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
    add("--checkpoint", type=Path, help="file to go on from; beside it the tokenizer")
    add("--shard", action="store_true", help="spread the weights (FSDP2)")
    bf16 = "matrix products in bfloat16 (auto: on a GPU that has it)"
    add("--bf16", choices=("yes", "no", "auto"), default="auto", help=bf16)
    return parser.parse_args(given)


def data(args: argparse.Namespace) -> tuple:
    """Return the tokenizer, and the training and the validation text's tokens (n,).

    Raises: ValueError for a file that is no UTF-8.
    """
    if args.text is None:
        texts = [part.texts() for part in python_docs().split()]
    else:
        text = read_text(args.text)
        cut = int(len(text) * 0.95)  # the last twentieth is validation
        texts = [text[:cut]], [text[cut:]]
    tokenizer = BytePairTokenizer.train(texts[0], args.n_vocab)
    train_tokens, validation_tokens = (
        torch.tensor([token for text in part for token in tokenizer.encode(text)])
        for part in texts
    )
    return tokenizer, train_tokens, validation_tokens


def main(given: Sequence[str] | None = None) -> History:
    """Train as the command line says; print the losses; return the history.

    Raises: ValueError before training for a text or a setting that is not usable.
    """
    args = arguments(given)
    config = GPTConfig(args.n_vocab, args.n_ctx, args.n_embd, args.n_head, args.n_layer)
    with processes.joined() as device:
        tokenizer, tokens, held_out = data(args)
        generator = torch.Generator().manual_seed(args.seed + 1)
        batches = RandomBatches(tokens, args.batch_size, args.n_ctx, generator)
        windows_in_order(held_out, args.n_ctx, MEASURED)  # refuses a text too short
        model = GPT(config, torch.Generator().manual_seed(args.seed)).to(device)
        if args.shard:
            processes.shard(model)
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        history = train(
            model,
            batches,
            args.steps,
            adamw(model, args.lr),
            schedule=warmup_cosine(args.warmup),
            validation=lambda: validation_loss(model, held_out, max_tokens=MEASURED),
            every=args.every,
            bf16=args.bf16 == "yes" or (args.bf16 == "auto" and has_bf16),
            checkpoint=args.checkpoint,
            resume=True,
        )
        if processes.rank() == 0:
            if args.checkpoint is not None:
                tokenizer.save(args.checkpoint.with_suffix(".tokenizer.json"))
            report(history)
    return history


def report(history: History) -> None:
    """Print a line a measurement: step, validation loss, tokens, seconds.

    >>> report(History(step=[1], tokens=[64], seconds=[0.5], validation_step=[1],
    ...                validation_loss=[4.2]))
    step 1: validation loss 4.200 nats/token, 64 tokens, 0.5 s
    """
    measured = zip(history.validation_step, history.validation_loss, strict=True)
    for step, loss in measured:
        tokens, seconds = history.tokens[step - 1], history.seconds[step - 1]
        print(
            f"step {step}: validation loss {loss:.3f} nats/token, "
            f"{tokens:,} tokens, {seconds:.1f} s"
        )


def command() -> None:
    """Run `main`; say in one line what was wrong with the settings or the files."""
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"gptcourse.pretrain: {error}")
    processes.leave()


if __name__ == "__main__":
    command()
