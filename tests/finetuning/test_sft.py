"""Demonstrations and responses: by hand, token by token, against transformers."""

import math
from random import Random

import pytest
import torch
from test_gpt import copy_weights, oracle

from gptcourse.finetuning.sft import (
    Responses,
    log_probabilities,
    pack,
    response_loss,
    sample,
    shuffled,
)
from gptcourse.models import GPT, GPTConfig, generate
from gptcourse.training import adamw, train

END = 9
PAIRS = [([1, 2], [3, 4, END]), ([5], [6]), ([7, 8, 1], [2, END])]


def tiny(seed=0, **changes):
    """A GPT whose weights are large enough for differences to show."""
    sizes = {"n_vocab": 10, "n_ctx": 12, "n_embd": 8, "n_head": 2, "n_layer": 2}
    model = GPT(
        GPTConfig(**(sizes | changes)), torch.Generator().manual_seed(seed)
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(30 if name.startswith("h.") else 10)
    return model


def one_by_one(model, prompt, response):
    """The log-probability of each response token, each prefix read anew."""
    found = []
    for n, token in enumerate(response):
        logits = model(torch.tensor([prompt + response[:n]]))[0, -1].double()
        found.append((logits[token] - logits.exp().sum().log()).item())
    return found


# Prompts and responses as rows.


def test_rows_and_mask_by_hand():
    tokens, mask = pack(PAIRS)
    assert tokens.tolist() == [[1, 2, 3, 4, 9], [5, 6, 0, 0, 0], [7, 8, 1, 2, 9]]
    assert mask.int().tolist() == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 1]]


def test_prompts_and_responses_come_back():
    draw = Random(0)
    pairs = [
        tuple([draw.randrange(10) for _ in range(draw.randint(1, 5))] for _ in range(2))
        for _ in range(20)
    ]
    assert pack(pairs).pairs == pairs


@pytest.mark.parametrize("pair", [([], [1]), ([1], [])])
def test_a_prompt_without_an_answer_is_refused(pair):
    with pytest.raises(ValueError, match="pair 1 has . tokens of prompt and . of resp"):
        pack([([1], [2]), pair])
    with pytest.raises(ValueError, match="no prompt with a response"):
        pack([])


def test_batches_hold_the_same_rows_of_all_parts_each_once_an_epoch():
    numbers = torch.arange(7)
    parts = numbers, numbers * 10
    batches = shuffled(parts, 3, torch.Generator().manual_seed(0))
    for _ in range(2):
        epoch = [next(batches) for _ in range(3)]
        assert all(torch.equal(one * 10, other) for one, other in epoch)
        seen = torch.cat([one for one, _ in epoch]).tolist()
        assert sorted(seen) == numbers.tolist() != seen
    with pytest.raises(ValueError, match="batch_size=0"):
        next(shuffled(parts, 0))


# Log-probabilities and the loss.


def test_log_probabilities_equal_those_of_prefixes_read_one_by_one():
    model = tiny()
    tokens, mask = pack(PAIRS)
    found = log_probabilities(model, tokens, mask)
    for row, chosen, pair in zip(found, mask, PAIRS, strict=True):
        wanted = one_by_one(model, *pair)
        assert row[chosen].tolist() == pytest.approx(wanted, abs=1e-5)
    assert (found[~mask] == 0).all()


def test_the_loss_equals_that_of_transformers():
    theirs, ours = oracle("pre_norm"), GPT(GPTConfig(31, 12, 16, 4, 3))
    copy_weights(theirs, ours)
    tokens, mask = pack(PAIRS)
    wanted = theirs(tokens, labels=tokens.masked_fill(~mask, -100)).loss
    torch.testing.assert_close(response_loss(ours, tokens, mask), wanted)


def test_every_response_token_has_the_same_weight():
    even = torch.tensor([0.5, 0.25, 0.25]).log().expand(2, 2, 3)
    loss = response_loss(lambda tokens: even, *pack([([1], [0, 0]), ([1], [1])]))
    assert loss.item() == pytest.approx((2 * math.log(2) + math.log(4)) / 3)


def test_only_logits_before_response_tokens_have_a_gradient():
    tokens, mask = pack(PAIRS)
    logits = torch.randn(3, 4, 10, requires_grad=True)
    response_loss(lambda read: logits, tokens, mask).backward()
    assert torch.equal(logits.grad.abs().sum(dim=-1) > 0, mask[:, 1:])


def test_what_stands_in_the_padding_does_not_matter():
    model, (tokens, mask) = tiny(), pack(PAIRS)
    other = tokens.clone()
    other[1, 2:] = 7
    assert torch.equal(
        log_probabilities(model, other, mask), log_probabilities(model, tokens, mask)
    )


def test_demonstrations_are_learnt_and_their_prompts_are_not():
    draw = Random(1)
    # The answer is the prompt's last token; the prompts are noise.
    prompts = [[draw.randrange(8) for _ in range(3)] for _ in range(64)]
    demonstrations = pack((prompt, [prompt[-1], END]) for prompt in prompts)
    model = GPT(GPTConfig(10, 8, 16, 2, 1), torch.Generator().manual_seed(0))
    batches = shuffled(demonstrations, 32, torch.Generator().manual_seed(0))
    optimizer = adamw(model, 1e-2)
    history = train(model, batches, 60, optimizer, loss=response_loss, progress=False)
    assert history.loss[0] == pytest.approx(math.log(10), abs=0.2)
    assert history.loss[-1] < 0.1
    asked = sample(model, [[1, 2, 5], [6, 4, 3]], 4, END, temperature=0)
    assert [answer for _, answer in asked.pairs] == [[5, END], [3, END]]


# Sampling.


@pytest.mark.parametrize(("end", "lengths"), [(9, {1, 2, 3}), (8, {2, 3, 5}), (1, {5})])
def test_greedy_responses_equal_those_generated_alone(end, lengths):
    model, prompts = tiny(), [[1, 2, 3], [4], [5, 6, 7], [8, 1]]
    responses = sample(model, prompts, 5, end, temperature=0).pairs
    for prompt, (read, response) in zip(prompts, responses, strict=True):
        alone = generate(model, torch.tensor([prompt]), 5, temperature=0)[0].tolist()
        whole = alone[len(prompt) :]
        cut = whole[: whole.index(end) + 1] if end in whole else whole
        assert (read, response) == (prompt, cut)
    assert {len(response) for _, response in responses} == lengths


def test_tokens_are_drawn_as_often_as_their_probability_says():
    model, n = tiny(seed=3), 4000
    first = sample(model, [[1, 2]] * n, 1, END, generator=torch.Generator())
    counts = torch.bincount(first.tokens[:, 2], minlength=10) / n
    wanted = model(torch.tensor([[1, 2]]))[0, -1].softmax(dim=-1)
    assert (counts - wanted).abs().max() < 4 * 0.5 / math.sqrt(n)
    assert wanted.max() < 0.9  # else it would be no draw


def test_a_generator_fixes_the_responses():
    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(tiny(), [[1], [2, 3]] * 8, 6, END, generator=generator)

    one, same, other = drawn(0), drawn(0), drawn(1)
    assert one.pairs == same.pairs != other.pairs
    assert isinstance(one, Responses)


def test_dropout_is_off_while_the_model_writes_and_on_again_afterwards():
    model = tiny(dropout=0.9).train()
    first, second = (sample(model, [[1, 2]], 6, END, temperature=0) for _ in range(2))
    assert first.pairs == second.pairs
    assert model.training


@pytest.mark.parametrize(
    ("prompts", "n_new", "end", "message"),
    [
        ([], 2, END, "0 prompts"),
        ([[1], []], 2, END, "a token in each"),
        ([[1]], 0, END, "n_new=0"),
        ([[1]], 2, 10, "end=10; .* an end from 0 to 9"),
        ([[1] * 10], 3, END, "10 tokens with a response of 3 does not fit n_ctx=12"),
    ],
)
def test_what_cannot_be_answered_is_refused(prompts, n_new, end, message):
    with pytest.raises(ValueError, match=message):
        sample(tiny(), prompts, n_new, end)
