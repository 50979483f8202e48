"""DPO: its loss and gradient by hand, its pairs, its training against a plain step."""

import copy
import math

import pytest
import torch
from test_sft import END, one_by_one, tiny

from gptcourse.finetuning.dpo import (
    dpo_loss,
    implicit_reward,
    preferences,
    train_dpo,
)
from gptcourse.finetuning.reward import comparisons
from gptcourse.finetuning.sft import log_probabilities, pack

#: chosen and rejected responses to three prompts of different lengths
PROMPTS = [[1, 2], [3], [4, 5, 6]]
CHOSEN = [[7, END], [8, 2, END], [1]]
REJECTED = [[6], [END], [2, 2, 2, END]]


def pairs():
    answers = [list(both) for both in zip(REJECTED, CHOSEN, strict=True)]
    return preferences(comparisons(PROMPTS, answers, [[0.0, 1.0]] * 3))


def sequence_log_ratio(policy, reference, prompt, response):
    mine, theirs = (sum(one_by_one(m, prompt, response)) for m in (policy, reference))
    return mine - theirs


def plain_loss(policy, reference, beta):
    """E7 as it is written, sequence by sequence."""
    losses = []
    for prompt, better, worse in zip(PROMPTS, CHOSEN, REJECTED, strict=True):
        one = sequence_log_ratio(policy, reference, prompt, better)
        other = sequence_log_ratio(policy, reference, prompt, worse)
        losses.append(math.log(1 + math.exp(-beta * (one - other))))
    return sum(losses) / len(losses)


def a_step(policy, reference, rate=0.0, **options):
    optimizer = torch.optim.SGD(policy.parameters(), lr=rate)
    return train_dpo(
        policy,
        reference,
        pairs(),
        1,
        optimizer,
        batch_size=3,
        progress=False,
        **options,
    )


# The pairs.


def test_every_untied_pair_of_a_prompt_comes_with_the_better_one_first():
    compared = comparisons(
        [[1], [2]],
        [[[3], [4], [5]], [[6], [7], [8]]],
        [[1.0, 3.0, 1.0], [3.0, 2.0, 1.0]],
    )
    tokens, mask = preferences(compared)
    found = {(one[0], one[1], other[1]) for one, other in tokens.tolist()}
    wanted = {(1, 4, 3), (1, 4, 5), (2, 6, 7), (2, 6, 8), (2, 7, 8)}
    assert found == wanted
    assert len(tokens) == 5
    assert mask.int().unique(dim=0).tolist() == [[[0, 1], [0, 1]]]
    assert [one[0] for one, _ in tokens.tolist()] == [
        other[0] for _, other in tokens.tolist()
    ]


# The loss.


def test_at_the_reference_the_loss_is_log_2():
    policy = tiny()
    history = a_step(policy, copy.deepcopy(policy))
    assert history.loss == [pytest.approx(math.log(2), abs=1e-7)]


def test_the_loss_by_hand():
    rewards = torch.tensor([[1.0, 0.0], [-1.0, 2.0]])
    wanted = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert dpo_loss(rewards).item() == pytest.approx(wanted)


def check_implicit_reward():
    policy, reference = tiny(0), tiny(1)
    found = implicit_reward(
        policy, reference, *pack(zip(PROMPTS, CHOSEN, strict=True)), beta=0.3
    )
    wanted = [
        0.3 * sequence_log_ratio(policy, reference, prompt, response)
        for prompt, response in zip(PROMPTS, CHOSEN, strict=True)
    ]
    assert found.tolist() == pytest.approx(wanted, abs=1e-5)


def test_the_implicit_reward_is_beta_times_the_log_ratio_of_the_sequence():
    check_implicit_reward()


def with_the_prompt(model, tokens, mask):
    """A mutant: prompt tokens join the sum (in the loss they would cancel)."""
    read = tokens.bool() & (torch.arange(tokens.shape[1]) > 0)  # no token is 0
    return log_probabilities(model, tokens, read)


def by_length(model, tokens, mask):
    """A mutant: the mean over a response's tokens."""
    return log_probabilities(model, tokens, mask) / mask.sum(dim=1, keepdim=True)


def off_by_one(model, tokens, mask):
    """A mutant: the mask stands one token too early."""
    return log_probabilities(model, tokens, mask.roll(-1, 1))


@pytest.mark.parametrize("mutant", [with_the_prompt, by_length, off_by_one])
def test_the_log_ratio_of_the_sequence_catches(mutant, monkeypatch):
    monkeypatch.setattr("gptcourse.finetuning.dpo.log_probabilities", mutant)
    with pytest.raises(AssertionError):
        check_implicit_reward()


def test_the_loss_equals_the_papers_formula_sequence_by_sequence():
    policy, reference = tiny(0), tiny(1)
    wanted = plain_loss(policy, reference, beta=2.0)
    history = a_step(policy, reference, beta=2.0)
    assert history.loss == [pytest.approx(wanted, abs=1e-5)]
    assert wanted > 2


def test_a_pair_weighs_the_more_the_more_wrongly_it_is_ranked():
    rewards = torch.tensor([[0.5, 2.0], [2.0, 0.5]], requires_grad=True)
    (2 * dpo_loss(rewards)).backward()  # a sum over the two pairs
    weights = torch.sigmoid(torch.tensor([1.5, -1.5]))  # σ(rejected - chosen), §4
    torch.testing.assert_close(rewards.grad, torch.stack([-weights, weights], dim=1))


def test_the_best_rewards_are_as_far_apart_as_the_preferences_say():
    # Preferred three times of four, so by Bradley and Terry σ(difference) = 3/4.
    rewards = torch.tensor([math.log(3), 0.0], requires_grad=True)
    seen = torch.stack([rewards, rewards, rewards, rewards.flip(0)])
    dpo_loss(seen).backward()
    torch.testing.assert_close(rewards.grad, torch.zeros(2))


def test_prompt_tokens_do_not_matter():
    tokens, mask = pack(zip(PROMPTS, CHOSEN, strict=True))
    logits = torch.randn(*tokens[:, 1:].shape, 10, requires_grad=True)
    fixed = torch.nn.Module()
    fixed.forward = lambda tokens: torch.zeros(*tokens.shape, 10)
    implicit_reward(lambda tokens: logits, fixed, tokens, mask, 0.1).sum().backward()
    assert torch.equal(logits.grad.abs().sum(dim=-1) > 0, mask[:, 1:])


# Training.


def test_a_step_goes_down_the_gradient_of_the_papers_formula():
    policy, reference = tiny(0), tiny(1)
    name, place = "h.0.mlp.c_proj.weight", (4, 13)
    nearby = []
    for step in (1e-3, -1e-3):
        moved = copy.deepcopy(policy).double()
        moved.get_parameter(name).data[place] += step
        nearby.append(plain_loss(moved, copy.deepcopy(reference).double(), 2.0))
    slope = (nearby[0] - nearby[1]) / 2e-3
    before = policy.get_parameter(name).detach()[place].item()
    a_step(policy, reference, rate=1.0, beta=2.0, clip=1e9)
    after = policy.get_parameter(name).detach()[place].item()
    assert before - after == pytest.approx(slope, rel=1e-2)
    assert abs(slope) > 0.5


def test_training_prefers_what_was_chosen_and_leaves_the_reference_alone():
    policy = tiny()
    reference = copy.deepcopy(policy)
    before = [parameter.clone() for parameter in reference.parameters()]
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    history = train_dpo(
        policy, reference, pairs(), 40, optimizer, beta=0.5, batch_size=2,
        generator=torch.Generator().manual_seed(0), progress=False,
    )  # fmt: skip
    assert history.loss[-1] < 0.1
    for prompt, better, worse in zip(PROMPTS, CHOSEN, REJECTED, strict=True):
        one = sequence_log_ratio(policy, reference, prompt, better)
        assert one > sequence_log_ratio(policy, reference, prompt, worse)
    assert all(map(torch.equal, reference.parameters(), before))
    assert all(parameter.grad is None for parameter in reference.parameters())


# Bad input.


@pytest.mark.parametrize("beta", [-0.1, 0.0, math.nan])
def test_a_beta_that_teaches_nothing_is_refused(beta):
    policy = tiny()
    with pytest.raises(ValueError, match="need beta > 0"):
        a_step(policy, copy.deepcopy(policy), beta=beta)


def test_a_reference_that_does_not_go_with_the_policy_is_refused():
    policy = tiny()
    with pytest.raises(ValueError, match="vocabulary of 10, the reference one of 12"):
        a_step(policy, tiny(n_vocab=12))
    with pytest.raises(ValueError, match="a copy of the policy"):
        a_step(policy, policy)
