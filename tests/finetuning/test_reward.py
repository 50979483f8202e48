"""The reward model and its ranking loss: by hand, by a double loop, by transformers."""

import math
from random import Random

import pytest
import torch
from test_gpt import copy_weights, oracle
from test_sft import PAIRS, tiny
from torch.nn import functional as F
from transformers import GPT2ForSequenceClassification

from gptcourse.finetuning.reward import (
    RewardModel,
    ask,
    center_rewards,
    comparisons,
    ranking_accuracy,
    ranking_loss,
    reward_loss,
    train_reward,
)
from gptcourse.finetuning.sft import pack, shuffled
from gptcourse.models import GPT, GPTConfig
from gptcourse.training import adamw, train, warmup_cosine

REWARDS = torch.tensor([[2.0, 1.0, 0.0, 0.5], [0.3, -1.0, 4.0, 1.0]])
#: the first row has five untied pairs, the second three
SCORES = torch.tensor([[1.0, 2.0, 3.0, 1.0], [0.0, 1.0, 0.0, 0.0]])


def judging(seed=0):
    """A reward model whose head is drawn too."""
    model = RewardModel(tiny(seed)).eval()
    generator = torch.Generator().manual_seed(seed + 50)
    torch.nn.init.normal_(model.head.weight, generator=generator)
    torch.nn.init.normal_(model.head.bias, generator=generator)
    return model


def double_loop(rewards, scores):
    """E1 as it is written: the mean over a prompt's pairs, then over prompts."""
    rows = []
    for reward, score in zip(rewards.tolist(), scores.tolist(), strict=True):
        losses = [
            math.log(1 + math.exp(reward[worse] - reward[better]))
            for better in range(len(score))
            for worse in range(len(score))
            if score[better] > score[worse]
        ]
        rows.append(sum(losses) / len(losses))
    return sum(rows) / len(rows)


# The model.


def test_rewards_equal_those_of_transformers():
    theirs, body = oracle("pre_norm"), GPT(GPTConfig(31, 12, 16, 4, 3))
    copy_weights(theirs, body)
    theirs.config.num_labels, theirs.config.pad_token_id = 1, 0
    classifier = GPT2ForSequenceClassification(theirs.config).eval()
    classifier.transformer.load_state_dict(theirs.transformer.state_dict())
    ours = RewardModel(body)
    ours.head.weight.data.copy_(classifier.score.weight)
    tokens, mask = pack(PAIRS)  # which hold no 0, their padding
    torch.testing.assert_close(ours(tokens, mask), classifier(tokens).logits[:, 0])


def test_a_padded_row_has_the_reward_that_it_has_alone():
    model = judging()
    alone = torch.cat([model(*pack([pair])) for pair in PAIRS])
    torch.testing.assert_close(model(*pack(PAIRS)), alone)
    last = model.outputs(torch.tensor([[1, 2, 3, 4, 9]]))[0, -1]
    torch.testing.assert_close(alone[0], last)


def test_a_head_that_has_learnt_nothing_prefers_nothing():
    model = RewardModel(tiny())
    compared = comparisons([[1]], [[[2], [3], [4, 5]]], [[3.0, 2.0, 1.0]])
    assert reward_loss(model, *compared).item() == pytest.approx(math.log(2))
    assert ranking_accuracy(model, compared) == 0.5


def test_making_a_reward_model_draws_nothing():
    state = torch.get_rng_state()
    RewardModel(tiny())
    assert torch.equal(torch.get_rng_state(), state)


# The loss.


def test_the_loss_by_hand():
    loss = ranking_loss(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[3.0, 2, 1]]))
    wanted = (2 * math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 3
    assert loss.item() == pytest.approx(wanted)


def check_ranking(loss):
    found = loss(REWARDS, SCORES).item()
    assert found == pytest.approx(double_loop(REWARDS, SCORES))


def one_heap(rewards, scores):
    """A mutant: a prompt with more untied pairs weighs more."""
    margins = rewards[:, :, None] - rewards[:, None]
    return -F.logsigmoid(margins)[scores[:, :, None] > scores[:, None]].mean()


def across_prompts(rewards, scores):
    """A mutant: an answer is compared with those to another prompt."""
    margins = rewards[:, :, None] - rewards.roll(1, 0)[:, None]
    pairs = scores[:, :, None] > scores[:, None]
    return ((-F.logsigmoid(margins) * pairs).sum((1, 2)) / pairs.sum((1, 2))).mean()


def ties_kept(rewards, scores):
    """A mutant: ties are broken by the order of the answers."""
    return ranking_loss(rewards, scores - torch.arange(4) * 1e-3)


def test_the_loss_equals_a_double_loop_that_drops_ties():
    check_ranking(ranking_loss)


@pytest.mark.parametrize("mutant", [one_heap, across_prompts, ties_kept])
def test_the_double_loop_catches(mutant):
    with pytest.raises(AssertionError):
        check_ranking(mutant)


def test_the_reward_model_learns_from_the_pairs_of_each_prompt():
    model, draw = judging(), Random(0)
    prompts = [[draw.randrange(10) for _ in range(n)] for n in (1, 3, 2)]
    answers = [[[i, j], [j], [i, i, j]] for i, j in ((1, 2), (3, 4), (5, 6))]
    scores = [[1.0, 2.0, 3.0], [3.0, 1.0, 1.0], [2.0, 3.0, 1.0]]
    rewards = [
        [model(*pack([(prompt, answer)])).item() for answer in its]
        for prompt, its in zip(prompts, answers, strict=True)
    ]
    wanted = double_loop(torch.tensor(rewards), torch.tensor(scores))
    found = reward_loss(model, *comparisons(prompts, answers, scores)).item()
    assert found == pytest.approx(wanted, abs=1e-5)


def test_answers_to_different_prompts_are_never_compared():
    shifted = REWARDS + torch.tensor([[100.0], [0.0]])
    torch.testing.assert_close(
        ranking_loss(shifted, SCORES), ranking_loss(REWARDS, SCORES), atol=1e-4, rtol=0
    )


def test_accuracy_counts_untied_pairs():
    class Fixed(torch.nn.Module):
        def forward(self, tokens, mask):
            return REWARDS.flatten()

    compared = comparisons([[1], [2]], [[[3], [4], [5], [6]]] * 2, SCORES.tolist())
    # of (3 > 2, 3 > 1, 3 > 1, 2 > 1, 2 > 1) the last is right, of the second row none
    assert ranking_accuracy(Fixed(), compared) == pytest.approx(1 / 8)


# Learning, and the zero.


def liking_sevens():
    """48 prompts, each with three random answers: the more sevens, the better."""
    draw = Random(0)
    prompts = [[draw.randrange(9) for _ in range(3)] for _ in range(48)]
    answers = [
        [[draw.randrange(9) for _ in range(4)] for _ in prompts[:3]] for _ in prompts
    ]
    likes = [
        [float(answer.count(7)) + answer[0] / 100 for answer in its] for its in answers
    ]
    kept = [i for i, its in enumerate(likes) if len(set(its)) > 1]
    return comparisons(*([part[i] for i in kept] for part in (prompts, answers, likes)))


def small():
    return GPT(GPTConfig(10, 8, 16, 2, 1), torch.Generator().manual_seed(0))


def test_a_preference_is_learnt_by_the_training_loop():
    compared, model = liking_sevens(), RewardModel(small())
    batches = shuffled(compared, 16, torch.Generator().manual_seed(0))
    history = train(
        model, batches, 80, adamw(model, 1e-2), loss=reward_loss, progress=False
    )
    assert history.loss[0] == pytest.approx(math.log(2))
    assert ranking_accuracy(model, compared) > 0.9


def test_train_reward_is_so_many_epochs_of_that_loop_then_centres():
    compared, demonstrations = liking_sevens(), pack([([1, 2], [3, 7]), ([4], [5])])
    start = small()
    found = train_reward(
        start, compared, demonstrations, 3, generator=torch.Generator().manual_seed(1)
    )
    model = RewardModel(small())
    batches = shuffled(compared, 8, torch.Generator().manual_seed(1))
    steps = sum(1 for _ in range(3) for _ in range(0, len(compared.scores), 8))
    train(
        model, batches, steps, adamw(model, 2e-3, weight_decay=0.01),
        schedule=warmup_cosine(5), loss=reward_loss, progress=False,
    )  # fmt: skip
    for name, weight in found.named_parameters():
        if name != "head.bias":
            torch.testing.assert_close(weight, model.get_parameter(name))
    assert found(*demonstrations).mean().item() == pytest.approx(0, abs=1e-6)
    for weight, before in zip(start.parameters(), small().parameters(), strict=True):
        assert torch.equal(weight, before)
    assert ranking_accuracy(found, compared) > ranking_accuracy(
        RewardModel(small()), compared
    )


def test_a_reward_model_of_no_epoch_is_refused():
    with pytest.raises(ValueError, match="^epochs is 0; a reward model needs one"):
        train_reward(small(), liking_sevens(), pack([([1], [2])]), 0)


def test_centred_demonstrations_score_0_and_differences_stay():
    model, demonstrations = judging(), pack(PAIRS)
    before = model(*demonstrations)
    center_rewards(model, demonstrations)
    after = model(*demonstrations)
    assert before.mean().abs() > 0.1
    assert after.mean().item() == pytest.approx(0.0, abs=1e-5)
    torch.testing.assert_close(after - after[0], before - before[0])


# Bad input.


@pytest.mark.parametrize(
    ("answers", "scores", "message"),
    [
        ([[[1]], [[2]]], [[1.0], [2.0]], "nothing to compare with fewer than two answ"),
        ([[[1], [2]]] * 2, [[1.0, 2.0], [3.0, 3.0]], "row 1 of the scores prefers no"),
        ([[[1], [2]]] * 2, [[1.0, 2.0], [3.0, math.nan]], "row 1 .* one is nan"),
        ([[[1], [2]], [[3]]], [[1.0, 2.0], [3.0]], r"\[1, 2\] to a prompt; give each"),
        ([[[1], [2]]], [[1.0, 2.0]], "2 prompts, 1 with answers"),
        ([[[1], [2]], [[3], []]], [[1.0, 2.0]] * 2, "pair 3 .* 0 of response"),
    ],
)
def test_what_cannot_be_compared_is_refused(answers, scores, message):
    with pytest.raises(ValueError, match=message):
        comparisons([[1], [2]], answers, scores)


def test_a_batch_of_ties_is_refused_by_the_loss_too():
    with pytest.raises(ValueError, match="row 0 of the scores prefers no answer"):
        ranking_loss(torch.zeros(1, 2), torch.ones(1, 2))


# Asking.


def asked(score, prompts=([1, 2], [3, 4], [5]), k=3):
    generator = torch.Generator().manual_seed(5)
    return ask(tiny(), list(prompts), k, score, n_new=3, end=0, generator=generator)


def test_each_row_holds_answers_to_its_own_prompt():
    compared = asked(lambda tokens, mask: torch.arange(9.0))
    assert compared.scores.tolist() == [[0.0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for row, prompt in zip(compared.tokens, ([1, 2], [3, 4], [5]), strict=True):
        assert all(answer[: len(prompt)].tolist() == prompt for answer in row)


def test_answers_are_scored_as_they_are_written():
    compared = asked(lambda tokens, mask: (tokens * mask).sum(dim=1).float())
    found = (compared.tokens * compared.mask).sum(dim=2).float()
    assert torch.equal(found, compared.scores)


def test_prompts_whose_answers_are_all_tied_are_left_out():
    compared = asked(lambda *_: torch.tensor([1.0, 1, 1, 0, 1, 1, 2, 2, 2]))
    assert compared.scores.tolist() == [[0.0, 1, 1]]
    assert compared.tokens[0, :, :2].tolist() == [[3, 4]] * 3


def test_a_policy_whose_answers_are_all_tied_is_refused():
    with pytest.raises(ValueError, match="^the 3 answers to each of 3 prompts"):
        asked(lambda *_: torch.ones(9))
