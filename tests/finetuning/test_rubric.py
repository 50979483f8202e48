"""Rule-based rewards: rules by hand, judges against transformers, what PPO sees."""

import copy
import math
from random import Random

import pytest
import torch
from test_gpt import copy_weights, oracle
from test_sft import PAIRS, tiny
from torch import nn
from transformers import GPT2ForSequenceClassification

from gptcourse.finetuning import (
    PPO,
    RewardModel,
    Rubric,
    RubricModel,
    RuleBasedReward,
    by_rules,
    normalize_rewards,
    pack,
    rubric_loss,
    shuffled,
    train_ppo,
)
from gptcourse.models import GPT, GPTConfig
from gptcourse.training import adamw, train

RUBRIC = Rubric(
    ("refusal", "rude", "help", "other"),
    {
        "harmful": {"refusal": 3.0, "rude": -1.0, "help": -3.0},
        "safe": {"help": 2.0, "refusal": -2.0},
    },
)
#: A response begins with the token of its class: 1, 2 or 3; a prompt with its kind.
RULES = {
    "refusal": lambda prompt, response: response[0] == 1,
    "rude": lambda prompt, response: 2 in response,
    "help": lambda prompt, response: response[0] == 3 and prompt[0] != 8,
}
RESPONSES = pack(
    [
        ([7, 5], [1, 2, 9]),  # refusal, though rude as well
        ([7], [4, 2, 9]),
        ([6, 5, 5], [3, 9]),
        ([7], [3, 9]),
        ([8], [3, 1, 9]),  # not help, for the prompt forbids it
        ([6, 2], [1]),
    ]
)
CLASSES = [0, 1, 2, 2, 3, 0]
KINDS = {7: "harmful", 6: "safe", 8: "strange"}
SCORES = [3.0, -1.0, 2.0, -3.0, 0.0, -2.0]


def kind_of(prompt):
    return KINDS[prompt[0]]


# The rubric.


def test_scores_are_those_of_kind_and_class():
    table = {
        kind: [RUBRIC.score(kind, number) for number in range(4)]
        for kind in ("harmful", "safe", "strange")
    }
    assert table == {
        "harmful": [3.0, -1.0, -3.0, 0.0],
        "safe": [-2.0, 0.0, 2.0, 0.0],
        "strange": [0.0] * 4,
    }


@pytest.mark.parametrize(
    ("classes", "scores", "message"),
    [
        (("a",), {}, "^classes a; need two or more, all different"),
        ((), {}, "need two or more"),
        (("a", "b", "a"), {}, "^classes a, b, a; need two or more, all different"),
        (("a", "b"), {"safe": {"c": 1.0}}, r"and no scores for others: \['c'\]$"),
    ],
)
def test_a_rubric_that_could_not_judge_is_refused(classes, scores, message):
    with pytest.raises(ValueError, match=message) as error:
        Rubric(classes, scores)
    assert "\n" not in str(error.value)


# A judge by rules.


def test_the_first_rule_that_holds_decides_and_else_the_last_class():
    found = by_rules(RUBRIC, RULES)(*RESPONSES)
    assert found.tolist() == CLASSES


def test_rules_see_the_response_without_its_padding():
    seen = []
    rules = {"a": lambda prompt, response: seen.append((prompt, response))}
    by_rules(Rubric(("a", "b"), {}), rules)(*RESPONSES)
    assert seen == RESPONSES.pairs


@pytest.mark.parametrize(
    "names", ["refusal rude", "rude refusal help", "refusal rude help other", ""]
)
def test_rules_for_other_classes_are_refused(names):
    rules = dict.fromkeys(names.split(), RULES["rude"])
    with pytest.raises(ValueError, match="which takes the rest, in order: refusal, ru"):
        by_rules(RUBRIC, rules)


# A judge that learns.


def judging(seed=0):
    """A judge whose head is drawn too."""
    model = RubricModel(tiny(seed), RUBRIC).eval()
    generator = torch.Generator().manual_seed(seed + 50)
    nn.init.normal_(model.head.weight, generator=generator)
    nn.init.normal_(model.head.bias, generator=generator)
    return model


def test_logits_equal_those_of_transformers():
    theirs, body = oracle("pre_norm"), GPT(GPTConfig(31, 12, 16, 4, 3))
    copy_weights(theirs, body)
    theirs.config.num_labels, theirs.config.pad_token_id = 4, 0
    classifier = GPT2ForSequenceClassification(theirs.config).eval()
    classifier.transformer.load_state_dict(theirs.transformer.state_dict())
    ours = RubricModel(body, RUBRIC)
    ours.head.weight.data.copy_(classifier.score.weight)
    tokens, mask = pack(PAIRS)  # which hold no 0, their padding
    wanted = classifier(tokens).logits
    torch.testing.assert_close(ours(tokens, mask), wanted)
    assert torch.equal(ours.judge(tokens, mask), wanted.argmax(dim=1))


def test_a_padded_row_has_the_logits_that_it_has_alone():
    model = judging()
    alone = torch.cat([model(*pack([pair])) for pair in PAIRS])
    torch.testing.assert_close(model(*pack(PAIRS)), alone)


def test_a_head_that_has_learnt_nothing_finds_all_classes_alike():
    state = torch.get_rng_state()
    model = RubricModel(tiny(), RUBRIC)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.head.weight.any() and not model(*pack(PAIRS)).any()
    loss = rubric_loss(model, *pack(PAIRS), torch.tensor([0, 3, 1]))
    assert loss.item() == pytest.approx(math.log(4))


def test_the_loss_by_hand():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    loss = rubric_loss(lambda *_: logits, None, None, torch.tensor([1, 2]))
    first = math.log(math.e**2 + math.e + 1) - 1
    second = math.log(2 + math.e**3) - 3
    assert loss.item() == pytest.approx((first + second) / 2)


def test_dropout_is_off_while_a_judge_judges_and_on_again_afterwards():
    model = RubricModel(tiny(dropout=0.9), RUBRIC).train()
    nn.init.normal_(model.head.weight)
    rows = pack(PAIRS * 20)
    first, second = model.judge(*rows), model.judge(*rows)
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert model.training


def test_a_rubric_is_learnt_by_the_training_loop():
    draw = Random(0)
    pairs = [
        ([draw.choice((6, 7))], [draw.randrange(1, 5) for _ in range(3)])
        for _ in range(200)
    ]
    rows = pack(pairs)
    classes = by_rules(RUBRIC, RULES)(*rows)
    assert classes.bincount().min() > 10
    model = RubricModel(
        GPT(GPTConfig(10, 8, 32, 4, 2), torch.Generator().manual_seed(0)), RUBRIC
    )
    batches = shuffled((*rows, classes), 50, torch.Generator().manual_seed(0))
    train(model, batches, 120, adamw(model, 1e-2), loss=rubric_loss, progress=False)
    assert (model.judge(*rows) == classes).float().mean() > 0.95


# The reward.


def base(tokens, mask):
    """A reward of its own for each row."""
    return torch.arange(float(len(tokens)))


def test_the_reward_is_the_sum_of_both():
    model = RuleBasedReward(base, by_rules(RUBRIC, RULES), RUBRIC, kind_of)
    assert model.extra(*RESPONSES).tolist() == SCORES
    wanted = [n + score for n, score in enumerate(SCORES)]
    assert model(*RESPONSES).tolist() == wanted


def test_a_judge_that_learnt_gives_the_scores_of_its_classes():
    judge = judging()
    model = RuleBasedReward(base, judge.judge, RUBRIC, lambda prompt: "harmful")
    numbers = judge(*pack(PAIRS)).argmax(dim=1).tolist()
    wanted = [RUBRIC.score("harmful", number) for number in numbers]
    assert model.extra(*pack(PAIRS)).tolist() == wanted


def test_a_policy_learns_from_the_rubric_what_the_reward_alone_teaches_it_not():
    """The reward likes token 1; the rubric, on safe prompts alone, dislikes it."""

    def likes_1(tokens, mask):
        return ((tokens == 1) & mask).any(dim=1).float()

    rubric = Rubric(("refusal", "help"), {"safe": {"refusal": -3.0, "help": 3.0}})
    judge = by_rules(rubric, {"refusal": lambda prompt, response: 1 in response})
    reward = RuleBasedReward(likes_1, judge, rubric, kind_of)
    policy = GPT(GPTConfig(10, 8, 16, 2, 1), torch.Generator().manual_seed(0))
    reference = copy.deepcopy(policy)
    value = RewardModel(copy.deepcopy(policy))
    settings = PPO(iterations=60, batch_size=64, learning_rate=5e-3, beta=0.01)
    train_ppo(
        policy, reference, value, reward, [[7], [6]], 1, 9, settings,
        generator=torch.Generator().manual_seed(0), progress=False,
    )  # fmt: skip
    harmful, safe = policy(torch.tensor([[7], [6]]))[:, -1].softmax(dim=-1)[:, 1]
    assert harmful > 0.9
    assert safe < 0.05


def test_a_reward_model_inside_is_known_to_ppo():
    policy = tiny()
    shared = RuleBasedReward(
        RewardModel(policy), by_rules(RUBRIC, RULES), RUBRIC, kind_of
    )
    reference, value = copy.deepcopy(policy), RewardModel(copy.deepcopy(policy))
    with pytest.raises(ValueError, match="policy and reward share weights"):
        train_ppo(policy, reference, value, shared, [[7]], 2, 9, progress=False)


# One scale.


def scored(seed=0):
    model = RewardModel(tiny(seed)).eval()
    nn.init.normal_(model.head.weight, 0.0, 5.0, torch.Generator().manual_seed(1))
    nn.init.constant_(model.head.bias, 7.0)
    return model


def test_rewards_have_mean_0_and_variance_1_and_keep_their_order():
    model = scored()
    before = model(*RESPONSES)
    normalize_rewards(model, RESPONSES)
    after = model(*RESPONSES)
    wanted = (before - before.mean()) / before.std(correction=0)
    torch.testing.assert_close(after, wanted)
    assert before.mean().abs() > 1
    assert after.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert after.var(correction=0).item() == pytest.approx(1.0, abs=1e-4)


def test_other_responses_are_moved_by_the_same_amounts():
    model, others = scored(), pack(PAIRS)
    before, mine = model(*others), model(*RESPONSES)
    normalize_rewards(model, RESPONSES)
    wanted = (before - mine.mean()) / mine.std(correction=0)
    torch.testing.assert_close(model(*others), wanted)


def test_rewards_without_a_spread_have_no_scale():
    model = RewardModel(tiny())
    for rows in (RESPONSES, pack(PAIRS[:1])):
        with pytest.raises(
            ValueError, match="^the rewards of . responses spread by 0,"
        ):
            normalize_rewards(model, rows)
