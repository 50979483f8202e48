"""From a language model to a task, and to what people prefer."""

from gptcourse.finetuning.chat import ChatTemplate, Message
from gptcourse.finetuning.classifier import Classifier
from gptcourse.finetuning.dpo import dpo_loss, implicit_reward, preferences, train_dpo
from gptcourse.finetuning.ppo import (
    PPO,
    advantages,
    policy_loss,
    token_rewards,
    token_values,
    train_ppo,
)
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
from gptcourse.finetuning.rubric import (
    Rubric,
    RubricModel,
    RuleBasedReward,
    by_rules,
    normalize_rewards,
    rubric_loss,
)
from gptcourse.finetuning.sft import (
    Responses,
    log_probabilities,
    pack,
    response_loss,
    sample,
    shuffled,
)
from gptcourse.finetuning.transfer import (
    FineTuning,
    accuracy,
    fine_tune,
    objective,
    transfer_layers,
    with_special_tokens,
)
from gptcourse.finetuning.transformations import Specials, encode_examples, transform
