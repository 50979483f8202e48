"""PPO: its parts by hand, by double sums, by torchrl; an iteration by a plain one."""

import copy
import math
import signal

import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule as Draw
from tensordict.nn import ProbabilisticTensorDictSequential, TensorDictModule
from test_reward import judging
from test_sft import END, PAIRS, tiny
from torch.nn import functional as F
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value.functional import generalized_advantage_estimate

from gptcourse.finetuning.ppo import (
    PPO,
    advantages,
    policy_loss,
    token_rewards,
    token_values,
    train_ppo,
    whitened,
)
from gptcourse.finetuning.reward import RewardModel
from gptcourse.finetuning.sft import log_probabilities, pack
from gptcourse.models import GPT, GPTConfig
from gptcourse.training import RandomBatches, next_token_loss

MASK = pack(PAIRS).mask
PROMPTS = [[1, 2], [3], [4, 5, 6]]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def double_sum(rewards, values, lam):
    """GAE of one response as it is written: A_t = Σ_l λ^l δ_{t+l}."""
    after = [*values[1:], 0.0]
    deltas = [r + v1 - v for r, v, v1 in zip(rewards, values, after, strict=True)]
    n = len(deltas)
    return [sum(lam**k * deltas[t + k] for k in range(n - t)) for t in range(n)]


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def learnt(model):
    """All weights that have a gradient: a bias of the keys falls out of the softmax."""
    return [
        parameter.detach()
        for name, parameter in model.named_parameters()
        if not name.endswith("c_attn.bias")
    ]


def untouched(model, before):
    return all(map(torch.equal, model.parameters(), before))


# Rewards, values, advantages.


def test_rewards_by_hand():
    log_ratios = torch.tensor([[9.0, 1.0, -2.0], [9.0, 0.5, 9.0]])
    mask = torch.tensor([[False, True, True], [False, True, False]])
    found = token_rewards(torch.tensor([3.0, -1.0]), log_ratios, mask, beta=0.1)
    wanted = torch.tensor([[0.0, -0.1, 3.2], [0.0, -1.05, 0.0]])
    torch.testing.assert_close(found, wanted)


def test_rewards_sum_to_the_score_less_the_log_ratio_of_the_sequence():
    policy, reference, (tokens, mask) = tiny(0), tiny(1), pack(PAIRS)
    scores = torch.tensor([1.0, 2.0, 3.0])
    ratios = log_probabilities(policy, tokens, mask)
    ratios = ratios - log_probabilities(reference, tokens, mask)
    found = token_rewards(scores, ratios, mask, beta=0.5).sum(dim=1)
    for i, (prompt, response) in enumerate(PAIRS):
        row = torch.tensor([prompt + response])
        mine, theirs = (
            model(row)[0].softmax(dim=-1)[
                torch.arange(len(prompt) - 1, row.shape[1] - 1), response
            ]
            for model in (policy, reference)
        )
        wanted = scores[i] - 0.5 * (mine.prod() / theirs.prod()).log()
        torch.testing.assert_close(found[i], wanted)


def test_a_token_s_value_does_not_see_the_token():
    value, (tokens, mask) = judging(), pack(PAIRS)
    found = token_values(value, tokens, mask)
    for row, chosen, (prompt, response) in zip(found, mask, PAIRS, strict=True):
        wanted = [
            value.outputs(torch.tensor([prompt + response[:n]]))[0, -1].item()
            for n in range(len(response))
        ]
        assert row[chosen].tolist() == pytest.approx(wanted, abs=1e-5)
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize("lam", [0.0, 0.6, 0.95, 1.0])
def test_advantages_equal_a_double_sum_over_each_response_alone(lam):
    rewards, values = drawn(3, 5), drawn(3, 5, seed=1)
    found = advantages(rewards * MASK, values, MASK, lam)
    for i, chosen in enumerate(MASK):
        wanted = double_sum(
            rewards[i, chosen].tolist(), values[i, chosen].tolist(), lam
        )
        assert found[i, chosen].tolist() == pytest.approx(wanted, abs=1e-5)
    assert (found[~MASK] == 0).all()


@pytest.mark.parametrize("lam", [0.0, 0.6, 0.95, 1.0])
def test_advantages_equal_those_of_torchrl(lam):
    rewards, values = drawn(4, 6), drawn(4, 6, seed=1)
    ended = torch.zeros(4, 6, 1, dtype=torch.bool)
    ended[:, -1] = True
    theirs, _ = generalized_advantage_estimate(
        1.0, lam, values[..., None], values.roll(-1, 1)[..., None], rewards[..., None],
        ended, ended,
    )  # fmt: skip
    everything = torch.ones(4, 6, dtype=torch.bool)
    found = advantages(rewards, values, everything, lam)
    torch.testing.assert_close(found, theirs[..., 0])


def test_advantages_by_hand():
    rewards, values = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.25, 0.5]])
    both = torch.ones(1, 2, dtype=torch.bool)
    found = advantages(rewards, values, both, lam=0.5)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5]]))


def test_with_lambda_1_an_advantage_is_what_came_less_what_was_expected():
    rewards, values = drawn(1, 4), drawn(1, 4, seed=1)
    everything = torch.ones(1, 4, dtype=torch.bool)
    to_come = rewards.flip(1).cumsum(1).flip(1)
    found = advantages(rewards, values, everything, lam=1.0)
    torch.testing.assert_close(found, to_come - values)


def test_whitened_advantages_have_mean_0_and_variance_1_over_the_tokens():
    x = drawn(3, 5) * 4 + 7
    found = whitened(x, MASK)
    assert found[MASK].mean().item() == pytest.approx(0, abs=1e-6)
    assert found[MASK].var(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert (found[~MASK] == 0).all()


# The clipped loss.


@pytest.mark.parametrize(
    ("ratio", "gain", "surrogate", "slope"),
    [  # the slope is with respect to the log-probability
        (1.0, 2.0, 2.0, 2.0),
        (1.5, 2.0, 2.4, 0.0),
        (0.5, 2.0, 1.0, 1.0),
        (1.5, -2.0, -3.0, -3.0),
        (0.5, -2.0, -1.6, 0.0),
    ],
)
def test_the_clipped_loss_by_hand(ratio, gain, surrogate, slope):
    old = torch.tensor([[-1.0, -0.7]])
    new = (old + math.log(ratio)).requires_grad_()
    gains = torch.tensor([[gain, 99.0]])
    mask = torch.tensor([[True, False]])
    loss = policy_loss(new, old, gains, mask, clip=0.2)
    loss.backward()
    assert -loss.item() == pytest.approx(surrogate)
    torch.testing.assert_close(-new.grad, torch.tensor([[slope, 0.0]]))


def test_the_clipped_loss_equals_that_of_torchrl():
    logits, old_logits, actions = (
        drawn(64, 5),
        drawn(64, 5, seed=1),
        drawn(64, 5, seed=2),
    )
    actions, gains = actions.argmax(dim=1), drawn(64, seed=3)
    new, old = (
        torch.distributions.Categorical(logits=x).log_prob(actions)
        for x in (logits, old_logits)
    )
    actor = ProbabilisticTensorDictSequential(
        TensorDictModule(torch.nn.Identity(), ["observation"], ["logits"]),
        Draw(["logits"], ["action"], distribution_class=torch.distributions.Categorical,
             return_log_prob=True),
    )  # fmt: skip
    loss = ClipPPOLoss(
        actor, None, clip_epsilon=0.2, entropy_bonus=False, critic_coeff=None
    )
    theirs = loss(
        TensorDict(
            {
                "observation": logits,
                "action": actions,
                "action_log_prob": old,
                "advantage": gains[:, None],
            },
            [64],
        )  # fmt: skip
    )
    everything = torch.ones(1, 64, dtype=torch.bool)
    found = policy_loss(new[None], old[None], gains[None], everything, clip=0.2)
    torch.testing.assert_close(found, theirs["loss_objective"])
    assert 0.2 < theirs["clip_fraction"].item() < 0.9


def test_before_the_first_update_its_gradient_is_the_plain_policy_gradient():
    policy, (tokens, mask) = tiny(), pack(PAIRS)
    gains = drawn(3, 5)
    log_probs = log_probabilities(policy, tokens, mask)
    loss = policy_loss(log_probs, log_probs.detach(), gains, mask, clip=0.2)
    found = torch.autograd.grad(loss, policy.parameters(), retain_graph=True)
    plain = -(gains * log_probs)[mask].mean()
    wanted = torch.autograd.grad(plain, policy.parameters())
    torch.testing.assert_close(found, wanted)
    assert max(gradient.abs().max() for gradient in wanted) > 0.01


# A run.


def scored(tokens, mask):
    """Likes 3s, and dislikes the first token of the prompt."""
    return ((tokens == 3) & mask).sum(dim=1) - tokens[:, 0] / 10


class Plain:
    """The same algorithm for one minibatch an iteration, token by token in lists."""

    def __init__(self, policy, value, settings, text=None):
        self.policy, self.reference = policy, copy.deepcopy(policy)
        self.value, self.settings, self.text = value, settings, text
        self.adams = [
            torch.optim.Adam(policy.parameters(), betas=(0.9, 0.95)),
            torch.optim.Adam(value.parameters(), betas=(0.9, 0.95)),
        ]

    def logs(self, model, pairs):
        return [
            model(torch.tensor([p + r]))[0, len(p) - 1 : -1].log_softmax(dim=-1)[
                range(len(r)), r
            ]
            for p, r in pairs
        ]

    def values(self, pairs):
        return [
            self.value.outputs(torch.tensor([p + r]))[0, len(p) - 1 : -1]
            for p, r in pairs
        ]

    def learn(self, pairs, scores, factor):
        settings = self.settings
        with torch.no_grad():
            old, values = self.logs(self.policy, pairs), self.values(pairs)
            before = self.logs(self.reference, pairs)
        gains = []
        for mine, theirs, its, score in zip(old, before, values, scores, strict=True):
            rewards = [
                -settings.beta * (a - b) for a, b in zip(mine, theirs, strict=True)
            ]
            rewards[-1] = rewards[-1] + score
            gains.append(torch.stack(double_sum(rewards, list(its), settings.lam)))
        wanted = torch.cat([a + b for a, b in zip(gains, values, strict=True)])
        gains = torch.cat(gains)
        gains = (gains - gains.mean()) / gains.std(correction=0)
        for adam, rate in zip(self.adams, (0.02, 0.03), strict=True):
            adam.param_groups[0]["lr"] = rate * factor
        for _ in range(settings.epochs):
            ratio = (torch.cat(self.logs(self.policy, pairs)) - torch.cat(old)).exp()
            inside = ratio.clamp(1 - settings.clip, 1 + settings.clip)
            loss = -torch.min(ratio * gains, inside * gains).mean()
            if self.text is not None:
                inputs, targets = self.text
                logits = self.policy(inputs).flatten(0, 1)
                loss = loss + settings.ptx * F.cross_entropy(logits, targets.flatten())
            self.step(0, loss, self.policy)
            errors = torch.cat(self.values(pairs)) - wanted
            self.step(1, (errors**2).mean(), self.value)

    def step(self, number, loss, model):
        self.adams[number].zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self.adams[number].step()


def check_iterations(ptx=0.0):
    settings = PPO(
        2, 12, 12, epochs=2, beta=0.3, clip=0.05, lam=0.8, ptx=ptx,
        learning_rate=0.02, value_learning_rate=0.03,
    )  # fmt: skip
    policy, value = tiny().double(), judging(1).double()
    text = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[2, 3, 4, 5]])
    plain = Plain(*map(copy.deepcopy, (policy, value)), settings, text if ptx else None)
    seen = []

    def watch(tokens, mask):
        seen.append((tokens, mask))
        return scored(tokens, mask)

    history = train_ppo(
        policy, copy.deepcopy(policy), value, watch, PROMPTS, 4, END, settings,
        pretraining=iter([text] * 4) if ptx else None, progress=False,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    for n, (tokens, mask) in enumerate(seen):
        pairs = [
            (row[: where[0]].tolist(), row[where].tolist())
            for row, chosen in zip(tokens, mask, strict=True)
            for where in [chosen.nonzero()[:, 0]]
        ]
        ratios = [
            (mine - theirs).sum().item()
            for mine, theirs in zip(
                plain.logs(plain.policy, pairs),
                plain.logs(plain.reference, pairs),
                strict=True,
            )
        ]
        assert history.kl[n] == pytest.approx(sum(ratios) / 12, abs=1e-4)
        assert history.length[n] == sum(len(answer) for _, answer in pairs) / 12
        scores = scored(tokens, mask)
        assert history.reward[n] == pytest.approx(scores.mean().item())
        plain.learn(pairs, scores, factor=(n + 1) / 10)
    assert len({len(answer) for _, answer in pairs}) > 1
    torch.testing.assert_close(learnt(policy), learnt(plain.policy))
    torch.testing.assert_close(learnt(value), learnt(plain.value))


@pytest.mark.parametrize("ptx", [0.0, 0.7])
def test_iterations_equal_plain_ones(ptx):
    check_iterations(ptx)


MUTANTS = {
    "distance is paid for": (
        "token_rewards",
        lambda scores, ratios, mask, beta: token_rewards(scores, ratios, mask, -beta),
    ),
    "the last token has a value after it": (
        "advantages",
        lambda rewards, values, mask, lam: advantages(
            rewards + (mask.cumsum(1) == mask.sum(1, keepdim=True)) * values,
            values, mask, lam,
        ),
    ),
    "the ratio forgets the old log-probabilities": (
        "policy_loss",
        lambda new, old, gains, mask, clip: policy_loss(
            new, new.detach(), gains, mask, clip
        ),
    ),
    "the value sees the token": (
        "token_values",
        lambda value, tokens, mask: value.outputs(tokens).masked_fill(~mask, 0.0),
    ),
    "the mask is off by one": (
        "log_probabilities",
        lambda model, tokens, mask: log_probabilities(model, tokens, mask.roll(-1, 1)),
    ),
    "advantages are as large as they come": ("whitened", lambda x, mask: x),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_with_plain_iterations_catches(name, monkeypatch):
    function, wrong = MUTANTS[name]
    monkeypatch.setattr(f"gptcourse.finetuning.ppo.{function}", wrong)
    with pytest.raises(AssertionError):
        check_iterations()


def small_run(reward=scored, settings=None, **options):
    """A policy that has learnt nothing yet learns to write 3s."""
    model = GPT(GPTConfig(10, 8, 16, 2, 1), torch.Generator().manual_seed(0))
    settings = settings or PPO(12, 32, 16, learning_rate=2e-2)
    reference, value = copy.deepcopy(model), RewardModel(copy.deepcopy(model))
    history = train_ppo(
        model, reference, value, reward, PROMPTS, 4, END, settings,
        generator=torch.Generator().manual_seed(0), progress=False, **options,
    )  # fmt: skip
    return model, reference, history


def test_the_reward_rises_and_so_does_the_distance_to_the_reference():
    _, _, history = small_run(gold=lambda tokens, mask: mask.sum(dim=1))
    assert history.kl[0] == 0
    assert history.reward[-1] > history.reward[0] + 1.5
    assert history.kl[-1] > 1
    assert history.gold == history.length
    assert len(history.reward) == len(history.kl) == len(history.gold) == 12


def test_a_dear_nat_keeps_the_policy_near_the_reference():
    free, dear = (
        small_run(settings=PPO(12, 32, 16, beta=beta, learning_rate=2e-2))[2]
        for beta in (0.0, 5.0)
    )
    assert abs(dear.kl[-1]) < 0.3 < 1.5 < free.kl[-1]


def test_reference_and_reward_model_stay_as_they_are():
    policy, reward = tiny(), judging(2)
    reference, value = copy.deepcopy(policy), copy.deepcopy(reward)
    kept = weights(reference), weights(reward)
    train_ppo(
        policy, reference, value, reward, PROMPTS, 3, END, PPO(2, 8, 4),
        generator=torch.Generator().manual_seed(0), progress=False,
    )  # fmt: skip
    assert untouched(reference, kept[0])
    assert untouched(reward, kept[1])
    assert not untouched(policy, kept[0])
    assert not untouched(value, kept[1])
    assert all(p.grad is None for p in [*reference.parameters(), *reward.parameters()])


def test_pre_training_text_keeps_its_loss_down():
    text = torch.arange(400) * 3 % 8
    inputs = text[:8][None], text[1:9][None]
    losses = []
    for ptx in (0.0, 1.0):
        batches = RandomBatches(text, 8, 8, torch.Generator().manual_seed(0))
        model, _, _ = small_run(
            settings=PPO(10, 16, 4, ptx=ptx, learning_rate=2e-2),
            pretraining=batches if ptx else None,
        )
        losses.append(next_token_loss(model, *inputs).item())
    assert losses[1] < 1 < 2 < losses[0]


def test_ctrl_c_ends_the_run_after_the_iteration():
    def interrupt(tokens, mask):
        signal.raise_signal(signal.SIGINT)
        return scored(tokens, mask)

    _, _, history = small_run(interrupt)
    assert history.interrupted
    assert len(history.reward) == 1


def test_a_seed_fixes_the_run_and_dropout_does_not_enter():
    one, other = (small_run(settings=PPO(2, 8, 4))[2] for _ in range(2))
    assert one == other
    policy = tiny(dropout=0.5).train()
    parts = copy.deepcopy(policy), RewardModel(copy.deepcopy(policy))
    history = train_ppo(
        policy, *parts, scored, PROMPTS, 3, END, PPO(1, 4, 4), progress=False
    )
    assert history.kl == [0.0]


# Bad input.


@pytest.mark.parametrize(
    "changes",
    [
        {"clip": 0.0}, {"clip": math.nan}, {"beta": -0.1}, {"lam": 1.1}, {"lam": -0.1},
        {"ptx": -1.0}, {"batch_size": 0}, {"minibatch_size": 0}, {"epochs": 0},
        {"iterations": -1},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValueError, match="need sizes and epochs >= 1, .* clip > 0"):
        PPO(**changes)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda tokens, mask: tokens[:, 0] * math.nan,
        lambda tokens, mask: tokens[:, 0] * math.inf,
        lambda tokens, mask: mask.float(),
        lambda tokens, mask: mask.float().mean(),
    ],
)
def test_scores_that_are_no_finite_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="need one finite number each"):
        small_run(wrong)
    with pytest.raises(ValueError, match="need one finite number each"):
        small_run(gold=wrong)


def test_models_that_do_not_go_together_are_refused():
    policy, other = tiny(), tiny(n_vocab=11)
    copies = [copy.deepcopy(policy) for _ in range(2)]
    value = RewardModel(copies[0])

    def run(reference, value, reward=scored):
        train_ppo(policy, reference, value, reward, PROMPTS, 3, END, PPO(1, 4, 4))

    with pytest.raises(ValueError, match="vocabulary of 10, the reference one of 11"):
        run(other, value)
    with pytest.raises(ValueError, match="vocabulary of 10, the value one of 11"):
        run(copies[1], RewardModel(other))
    with pytest.raises(ValueError, match="policy and reference share weights"):
        run(policy, value)
    with pytest.raises(ValueError, match="policy and value share weights"):
        run(copies[1], RewardModel(policy))
    with pytest.raises(ValueError, match="value and reward share weights"):
        run(copies[1], value, value)


def test_text_that_does_not_fit_the_settings_is_refused():
    with pytest.raises(ValueError, match="ptx=1.0; need .* batches of pretraining"):
        small_run(settings=PPO(1, 4, 4, ptx=1.0))
    with pytest.raises(ValueError, match="ptx=0.0; need .* batches of pretraining"):
        small_run(pretraining=iter([]))
    policy, value = tiny(), judging()
    with pytest.raises(ValueError, match="0 prompts"):
        train_ppo(policy, copy.deepcopy(policy), value, scored, [], 3, END)
