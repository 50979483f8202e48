"""Zero-shot heuristics: against loops, and against models whose choice is known."""

import pytest
import torch

from gptcourse.lesson import checks
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.tasks import zero_shot
from gptcourse.tasks.labelled import Example
from gptcourse.tasks.zero_shot import (
    choose_by_ending,
    mean_log_probability,
    mean_of_counted,
    share_right,
)
from gptcourse.tokenizers.characters import ByteTokenizer

BYTES = ByteTokenizer()


def small(n_ctx=32):
    config = GPTConfig(256, n_ctx, 16, 2, 2, dropout=0.1)
    model = GPT(config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model.eval()


def by_hand(model, context, text):
    """The mean log-probability of a text's tokens, one at a time."""
    tokens, total = BYTES.encode(context), 0.0
    new = BYTES.encode(text)
    for token in new:
        with torch.no_grad():
            chances = model(torch.tensor([tokens[-model.config.n_ctx :]]))[0, -1]
        total += chances.log_softmax(0)[token].item()
        tokens = [*tokens, token]
    return total / len(new)


def test_the_score_of_a_text_by_hand():
    model, texts = small(), ["Tom lost his kite.", "He cried", "Oh"]
    expected = [by_hand(model, text[:1], text[1:]) for text in texts]
    checks.close(mean_log_probability(model, BYTES, texts), expected, "scores", 1e-4)


def test_a_context_is_read_but_not_scored():
    model, contexts = small(), ["Tom lost.", "A"]
    texts = [" He cried.", " Yes"]
    expected = [by_hand(model, *pair) for pair in zip(contexts, texts, strict=True)]
    found = mean_log_probability(model, BYTES, texts, contexts)
    checks.close(found, expected, "scores", 1e-4)


def test_what_does_not_fit_loses_its_beginning():
    model = small(n_ctx=8)
    found = mean_log_probability(model, BYTES, ["xyz"], ["a long beginning"])
    expected = by_hand(model, "nning", "xyz")
    checks.close(found, [expected], "scores", 1e-4)


def test_of_a_text_longer_than_the_context_the_last_tokens_are_scored():
    model = small(n_ctx=8)
    found = mean_log_probability(model, BYTES, ["cd text of many tokens"], ["ab"])
    # Of the last eight tokens the first is only read.
    checks.close(found, [by_hand(model, "y", " tokens")], "scores", 1e-4)


CONTEXTS = ("Tom lost.", "The cup", "A", "Mia won the race")
ENDINGS = ("he cried", "it was fun!", "no", "old men fell", "yes, very much")


def likeliest(model, groups):
    """The place of the highest score by hand in each group of (context, text)."""
    scores = [[by_hand(model, *pair) for pair in group] for group in groups]
    return [one.index(max(one)) for one in scores]


def test_the_ending_with_the_highest_mean_after_a_space_is_chosen():
    model = small()
    letters = tuple("abcdefgh")  # so short that the space matters
    examples = [Example((context, *letters), 0) for context in CONTEXTS]
    pairs = [[(context, f" {end}") for end in letters] for context in CONTEXTS]
    expected = likeliest(model, pairs)
    assert choose_by_ending(model, BYTES, examples).tolist() == expected
    unspaced = [[(context, end) for end in letters] for context in CONTEXTS]
    assert expected != likeliest(model, unspaced), "the space makes no difference"


def test_a_text_of_one_token_has_nothing_to_score():
    with pytest.raises(ValueError, match="text 1 has 1 tokens to read and 0 to score"):
        mean_log_probability(small(), BYTES, ["Yes", "I"])


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="no text to score; give at least one"):
        choose_by_ending(small(), BYTES, [])


def test_only_what_counts_is_averaged():
    model, tokens = small(), torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    counts = torch.tensor([[True, False, True], [False, True, False]])
    with torch.no_grad():
        hidden = model.hidden(tokens)
        found = mean_of_counted(model, hidden, tokens, counts)
        logs = model(tokens).log_softmax(dim=-1)
    first = (logs[0, 0, 2] + logs[0, 2, 4]) / 2
    checks.close(found, torch.stack([first, logs[1, 1, 7]]), "means", 1e-5)


def test_the_model_is_left_in_its_mode_and_without_gradients():
    model = small().train()
    first = mean_log_probability(model, BYTES, ["Tom lost his kite."])
    assert model.training and not first.requires_grad
    again = mean_log_probability(model, BYTES, ["Tom lost his kite."])
    assert torch.equal(first, again)


def test_many_texts_are_scored_as_few(monkeypatch):
    model, texts = small(), [f"Text of {'a' * n}" for n in range(9)]
    expected = mean_log_probability(model, BYTES, texts)
    monkeypatch.setattr(zero_shot, "_BATCH_SIZE", 2)
    checks.close(mean_log_probability(model, BYTES, texts), expected, "scores")


def test_the_share_right_by_hand():
    examples = [Example(("A.",), label) for label in (0, 1, 1, 0)]
    assert share_right(torch.tensor([0, 1, 0, 0]), examples) == 0.75
