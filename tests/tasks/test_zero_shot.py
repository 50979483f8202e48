"""Zero-shot heuristics: against loops, and against models whose choice is known."""

import pytest
import torch

from gptcourse.lesson import checks
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.tasks import zero_shot
from gptcourse.tasks.labelled import Example
from gptcourse.tasks.zero_shot import (
    best_threshold,
    choose_by_ending,
    choose_by_substitution,
    choose_by_word,
    mean_log_probability,
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


def test_the_ending_with_the_highest_mean_is_chosen():
    model = small()
    example = Example(("Tom lost.", "He cried.", "It was fun!", "No"), 0)
    scores = [by_hand(model, "Tom lost.", f" {end}") for end in example.texts[1:]]
    chosen = choose_by_ending(model, BYTES, [example, example])
    assert chosen.tolist() == [scores.index(max(scores))] * 2


def test_a_substitution_is_judged_by_the_rest():
    model = small()
    blank = ("The ", ["cup", "ball", "old man"], " fell.")
    scores = [by_hand(model, f"The {word}", " fell.") for word in blank[1]]
    chosen = choose_by_substitution(model, BYTES, [blank])
    assert chosen.tolist() == [scores.index(max(scores))]


def test_only_the_words_given_are_compared():
    model, texts = small(), ["A fine film.", "Dull, and too long."]
    chosen = choose_by_word(model, BYTES, texts, " very ", ["positive", "negative"])
    for text, number in zip(texts, chosen, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([BYTES.encode(f"{text} very ")]))[0, -1]
        assert number == (logits[ord("n")] > logits[ord("p")]).int()


def test_words_with_the_same_first_token_are_refused():
    with pytest.raises(ValueError, match="begin with tokens \\[112, 112\\]"):
        choose_by_word(small(), BYTES, ["A."], " very ", ["positive", "poor"])


def test_a_text_of_one_token_has_nothing_to_score():
    with pytest.raises(ValueError, match="text 1 has 1 tokens to read and 0 to score"):
        mean_log_probability(small(), BYTES, ["Yes", "I"])


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


def test_the_best_threshold_parts_what_can_be_parted():
    scores = torch.tensor([-1.0, -3.0, -2.0, -4.0])
    assert best_threshold(scores, torch.tensor([1, 0, 1, 0])) == -2.5
    assert best_threshold(scores, torch.tensor([1, 1, 1, 1])) < -4
    assert best_threshold(scores, torch.tensor([0, 0, 0, 0])) > -1


def test_no_threshold_lies_between_equal_scores():
    scores, labels = torch.tensor([-1.0, -1.0, -2.0]), torch.tensor([1, 0, 0])
    assert best_threshold(scores, labels) == -1.5


def test_the_share_right_by_hand():
    examples = [Example(("A.",), label) for label in (0, 1, 1, 0)]
    assert share_right(torch.tensor([0, 1, 0, 0]), examples) == 0.75
