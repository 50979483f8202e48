"""Measure the tokenizer beside `tokenizers` and tiktoken, both in Rust, in one run.

    python -m benchmarks.tokenizer

The text is 1 MB of Python's documentation, documents taken evenly from all sources.
One thread; medians of repeats that alternate between ours and the peer. Before each
repeat of encoding, outside the time taken, both tokenizers are made anew from their
data, so that no cache holds a piece. Memory is the peak of what Python allocates while
training, the text not counted.
"""

import gc
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from tiktoken import Encoding
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from benchmarks.speed import Row
from gptcourse import corpora
from gptcourse.tokenizers.byte_pair import BytePairTokenizer

N_VOCAB = 4096
N_BYTES = 1_000_000
REPEATS = 9
MEMORY_LIMIT_MB = 150


class Contest(NamedTuple):
    """One measurement: what each side prepares, untimed, and the call that is timed."""

    name: str
    target: float
    ours: Callable[[], Callable[[], object]]
    peer: Callable[[], Callable[[], object]]

    def row(self) -> Row:
        """Return the median seconds of both sides, timed in turn."""
        times = {self.ours: [], self.peer: []}
        for _ in range(REPEATS):
            for prepare, seconds in times.items():
                call = prepare()
                start = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - start)
        ours, peer = map(median, times.values())
        return Row(self.name, ours, peer, self.target)


def documentation_text() -> str:
    """Return N_BYTES of the documentation, documents taken evenly from all sources."""
    corpus = corpora.python_docs()
    step = sum(source.bytes for source in corpus.sources.values()) // N_BYTES
    texts = [document.text for document in corpus.documents[::step]]
    text = corpora.SEPARATOR.join(texts + corpus.texts()[1::step])
    return text.encode()[:N_BYTES].decode(errors="ignore")


def rows() -> Iterator[Row]:
    """Yield every comparison, on one thread."""
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    # Only ours makes Python objects: its collector would search what torch and
    # transformers left behind, again and again.
    gc.freeze()
    for contest in contests(documentation_text()):
        yield contest.row()
    gc.unfreeze()


def contests(text: str) -> list[Contest]:
    """Return the contests on this text; all tokenizers encode it to the same ids."""
    tokenizer = BytePairTokenizer.train([text], N_VOCAB)
    trained = _trained_by_tokenizers(text).to_str()

    def ours():
        fresh = BytePairTokenizer(tokenizer.merges, tokenizer.special)
        fresh.encode(" a" * 50_000)  # makes its engine, as tiktoken's is made below
        return lambda: fresh.encode(text)

    def tokenizers():
        fresh = Tokenizer.from_str(trained)
        return lambda: fresh.encode(text).ids

    def tiktoken():
        fresh = _as_tiktoken(tokenizer)
        return lambda: fresh.encode_ordinary(text)

    # `tokenizers` numbers the special token first, ours last.
    ids = ours()()
    if ids != tiktoken()() or ids != [i - 1 for i in tokenizers()()]:
        raise AssertionError("the tokenizers encode the text differently")
    return [
        Contest(
            f"BPE training to {N_VOCAB:,}, against tokenizers",
            1.3,
            lambda: lambda: BytePairTokenizer.train([text], N_VOCAB),
            lambda: lambda: _trained_by_tokenizers(text),
        ),
        Contest("BPE encoding, against tokenizers", 2.0, ours, tokenizers),
        Contest("BPE encoding, against tiktoken", 0.9, ours, tiktoken),
    ]


def training_megabytes() -> float:
    """Return the peak memory of training to N_VOCAB, in MB over the text."""
    text = documentation_text()
    tracemalloc.start()
    BytePairTokenizer.train([text], N_VOCAB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def _trained_by_tokenizers(text: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=N_VOCAB,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def _as_tiktoken(tokenizer: BytePairTokenizer) -> Encoding:
    return Encoding(
        "ours",
        pat_str=tokenizer.pattern,
        mergeable_ranks=tokenizer.vocabulary,
        special_tokens=tokenizer.special,
    )


def main() -> None:
    """Print the comparisons, and the memory."""
    print(f"{'':46}{'ours':>9}{'peer':>9}{'ratio':>8}{'target':>8}")
    for name, ours, peer, target in rows():
        seconds = f"{ours:7.3f} s{peer:7.3f} s"
        print(f"{name:46}{seconds}{peer / ours:6.2f} ×{target:6.1f} ×")
    print(f"{'BPE training, peak memory over the text':46}", end="")
    print(f"{training_megabytes():6.0f} MB, target: under {MEMORY_LIMIT_MB} MB")


if __name__ == "__main__":
    main()
