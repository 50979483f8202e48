"""What the tokenizer tests compare with: other libraries, and the slow algorithm."""

import json
from collections import Counter

import tiktoken
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from gptcourse.tokenizers.vocabulary import from_symbols

END = "<|endoftext|>"


def train_tokenizers(text, n_vocab):
    """Train the byte-level BPE of Hugging Face's `tokenizers`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text] if isinstance(text, str) else text
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def merges_of(tokenizer):
    """The merges of a trained `tokenizers` tokenizer, as bytes."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(from_symbols(left), from_symbols(right)) for left, right in merges]


def as_tiktoken(tokenizer):
    """The tiktoken encoding with the ranks of one of our tokenizers."""
    return tiktoken.Encoding(
        "ours",
        pat_str=tokenizer.pattern,
        mergeable_ranks=tokenizer.vocabulary,
        special_tokens=tokenizer.special,
    )


def naive_merges(words, n_symbols, n_merges, tie=min):
    """Count all pairs anew for each merge: words are tuples of symbols."""
    words, merges = dict(words), []
    while len(merges) < n_merges:
        counts = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:], strict=False):
                counts[pair] += count
        if not counts:
            break
        most = max(counts.values())
        pair = tie(pair for pair, count in counts.items() if count == most)
        new = n_symbols + len(merges)
        joined = Counter()
        for word, count in words.items():
            joined[_replace(word, pair, new)] += count
        words = joined
        merges.append(pair)
    return merges


def _replace(word, pair, new):
    out, i = [], 0
    while i < len(word):
        if word[i : i + 2] == pair:
            out.append(new)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return tuple(out)


def naive_encoding(symbols, ranks):
    """Apply the merges one after another, each from left to right."""
    symbols = tuple(symbols)
    for pair, new in sorted(ranks.items(), key=lambda item: item[1]):
        symbols = _replace(symbols, pair, new)
    return list(symbols)
