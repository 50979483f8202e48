"""Rule-based rewards: a rubric sorts responses into classes, and each has its score.

What a reward model gets wrong can be put right by a rule: so that a policy refuses what
is harmful, and only that. The report names the parts, without formula or weights.

Axis letters: b batch, t position, k class.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.finetuning.reward import RewardModel, Scorer
from gptcourse.finetuning.sft import Responses, Tokens, last_places
from gptcourse.models import LanguageModel, frozen

#: Takes tokens (b, t) and mask (b, t), as of `Responses`; returns class numbers (b,).
Judge = Callable[[Tensor, Tensor], Tensor]
#: Takes the tokens of a prompt and of a response, and says whether a class fits them.
Rule = Callable[[Tokens, Tokens], bool]


@dataclass(frozen=True)
class Rubric:
    """The classes of responses, and the score of each after each kind of prompt.

    What `scores` does not name has score 0: a kind that is left out is not judged.

    Raises: ValueError for fewer than two classes or one named twice, and a score for a
    class that is not among them.
    Source: GPT-4 report, §6 (classes such as refusals of good and of bad style).

    >>> rubric = Rubric(("refusal", "help"), {"harmful": {"refusal": 3, "help": -3}})
    >>> rubric.score("harmful", 1), rubric.score("harmless", 1)
    (-3.0, 0.0)
    """

    classes: tuple[str, ...]
    scores: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        """Refuse classes that could not be told apart, or were never given."""
        known = {*self.classes}
        unknown = {name for row in self.scores.values() for name in row} - known
        if len(known) < 2 or len(known) < len(self.classes) or unknown:
            raise ValueError(
                f"classes {', '.join(self.classes)}; need two or more, all different, "
                f"and no scores for others: {sorted(unknown)}"
            )

    def score(self, kind: str, number: int) -> float:
        """Return the score of a class, by its number, after a kind of prompt."""
        return float(self.scores.get(kind, {}).get(self.classes[number], 0.0))


def by_rules(rubric: Rubric, rules: Mapping[str, Rule]) -> Judge:
    """Return a judge that gives the first class whose rule holds, else the last one.

    Raises: ValueError unless the rules are for all classes but the last, in order.

    >>> rubric = Rubric(("long", "short"), {})
    >>> judge = by_rules(rubric, {"long": lambda prompt, response: len(response) > 2})
    >>> judge(torch.tensor([[5, 6, 7, 8]]), torch.tensor([[False, True, True, True]]))
    tensor([0])
    """
    if tuple(rules) != rubric.classes[:-1]:
        raise ValueError(
            f"rules for {', '.join(rules)}; need one for each class but the last, "
            f"which takes the rest, in order: {', '.join(rubric.classes[:-1])}"
        )

    def judge(tokens: Tensor, mask: Tensor) -> Tensor:
        pairs = Responses(tokens, mask).pairs
        return torch.tensor([first(*pair) for pair in pairs], device=tokens.device)

    def first(prompt: Tokens, response: Tokens) -> int:
        for number, rule in enumerate(rules.values()):
            if rule(prompt, response):
                return number
        return len(rules)

    return judge


class RubricModel(nn.Module):
    """A judge that learns a rubric's classes from examples: language model and head.

    In the report the judge is GPT-4 itself, with the rubric in its prompt; a small
    model must be trained. It takes the model as it is, so give it a copy. The head
    starts at 0: at first all classes are equally likely.

    >>> from gptcourse.models import GPT, GPTConfig
    >>> from gptcourse.finetuning.sft import pack
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> RubricModel(model, Rubric(("a", "b", "c"), {}))(*pack([([1], [2])])).tolist()
    [[0.0, 0.0, 0.0]]
    """

    def __init__(self, language_model: LanguageModel, rubric: Rubric):
        """Put a head with an output a class on a language model."""
        super().__init__()
        self.language_model, self.config = language_model, language_model.config
        n_classes = len(rubric.classes)
        self.head = nn.utils.skip_init(nn.Linear, self.config.n_embd, n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(language_model.wte.weight.device)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return class logits (b, k), read at the last token of the response."""
        hidden = self.language_model.hidden(tokens)
        rows = torch.arange(len(tokens), device=tokens.device)
        return self.head(hidden[rows, last_places(mask)])

    def judge(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the number of the likeliest class (b,), with dropout off."""
        with frozen(self):
            return self(tokens, mask).argmax(dim=1)


def rubric_loss(
    model: RubricModel, tokens: Tensor, mask: Tensor, classes: Tensor
) -> Tensor:
    """Return the mean negative log-probability of the classes (b,), for `train`.

    >>> even = lambda tokens, mask: torch.zeros(1, 4)
    >>> rubric_loss(even, None, None, torch.tensor([2])).item()
    1.3862943649291992
    """
    return F.cross_entropy(model(tokens, mask), classes)


class RuleBasedReward(nn.Module):
    """A reward, and on top of it the score of a rubric: what PPO then learns from.

    `kind_of` says from a prompt's tokens of which kind it is: whoever collected the
    prompts knows which are harmful, and which look so and are not. The rubric corrects
    the reward only if its scores are larger than the differences that the reward makes,
    so bring a reward model to one scale first, with `normalize_rewards`.

    Source: GPT-4 report, §6 (RBRM).
    """

    def __init__(
        self,
        reward: Scorer,
        judge: Judge,
        rubric: Rubric,
        kind_of: Callable[[Tokens], str],
    ):
        """Take the reward and the judge as they are; neither is trained here."""
        super().__init__()
        self.reward, self.judge = reward, judge
        self.rubric, self.kind_of = rubric, kind_of

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the rewards (b,) of responses (b, t)."""
        return self.reward(tokens, mask) + self.extra(tokens, mask)

    def extra(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return what the rubric alone gives (b,)."""
        prompts = (prompt for prompt, _ in Responses(tokens, mask).pairs)
        numbers = self.judge(tokens, mask).tolist()
        pairs = zip(map(self.kind_of, prompts), numbers, strict=True)
        return torch.tensor([self.rubric.score(*p) for p in pairs], device=mask.device)


def normalize_rewards(model: RewardModel, responses: Responses) -> None:
    """Move and scale the head so that rewards of responses have mean 0, variance 1.

    Raises: ValueError for rewards that are all the same, as that of one response alone.
    Source: Ziegler et al. 2019, §2.
    """
    with frozen(model):
        rewards = model(*responses)
        spread = rewards.std(correction=0)
        if not spread > 0:
            raise ValueError(
                f"the rewards of {len(rewards)} responses spread by {spread:.3g}, "
                "which is no scale; take more, or train the reward model first"
            )
        model.head.weight /= spread
        model.head.bias -= rewards.mean()
        model.head.bias /= spread
