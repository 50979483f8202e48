"""Fine-tuning: GPT-1's way from a language model to a task.

Axis letters: b batch, k sequence of an example, t position.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcourse.finetuning.classifier import Classifier
from gptcourse.finetuning.transformations import EncodedExamples, Specials
from gptcourse.models import GPT, LanguageModel, frozen
from gptcourse.training.batches import by_length
from gptcourse.training.history import History
from gptcourse.training.loop import Loss, train
from gptcourse.training.optimizers import decayed_adam, short_warmup


@dataclass(frozen=True)
class FineTuning:
    """How GPT-1 fine-tunes; the defaults are the paper's (§4.1), for 117M parameters.

    `auxiliary` is λ, the weight of the language model's loss. A model of a million
    parameters needs a `learning_rate` near 1e-3, and small sets more `epochs`.

    >>> FineTuning().auxiliary
    0.5
    """

    learning_rate: float = 6.25e-5
    epochs: int = 3
    batch_size: int = 32
    auxiliary: float = 0.5
    weight_decay: float = 0.01


def with_special_tokens(
    model: LanguageModel, generator: torch.Generator | None = None
) -> LanguageModel:
    """Return a copy of a language model whose vocabulary has the `Specials` at its end.

    Their three embeddings are drawn at random, as in the paper (§3.3); all else is
    copied. With the head they are all that a task adds to the model (§3.2).

    >>> from gptcourse.models.gpt import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=10, n_ctx=8, n_embd=8, n_head=2, n_layer=1))
    >>> with_special_tokens(model).wte
    Embedding(13, 8)
    """
    n_vocab = model.config.n_vocab
    config = replace(model.config, n_vocab=n_vocab + len(Specials._fields))
    wider = type(model)(config, generator).to(model.wte.weight.device)
    new = wider.wte.weight[n_vocab:].detach()
    table = torch.cat([model.wte.weight.detach(), new])
    wider.load_state_dict(model.state_dict() | {"wte.weight": table})
    return wider


def transfer_layers(
    pretrained: GPT, n_layers: int, generator: torch.Generator | None = None
) -> GPT:
    """Return a model with the embeddings and the first blocks of a pre-trained one.

    The other blocks are drawn anew. With 0 the embeddings alone come along, with all
    blocks also the norm after the last (where there is one).

    Raises: ValueError for more layers than there are, or fewer than 0.
    Source: GPT-1, §5, F2; openai/finetune-transformer-lm, `n_transfer`.

    >>> from gptcourse.models.gpt import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=10, n_ctx=8, n_embd=8, n_head=2, n_layer=2))
    >>> part = transfer_layers(model, 1)
    >>> [torch.equal(part.h[i].mlp.c_fc.weight, model.h[i].mlp.c_fc.weight)
    ...  for i in range(2)]
    [True, False]
    """
    n_layer = pretrained.config.n_layer
    if not 0 <= n_layers <= n_layer:
        raise ValueError(
            f"n_layers={n_layers}, but the model has {n_layer}; transfer 0 "
            f"(the embeddings) to {n_layer} (everything)"
        )
    fresh = GPT(pretrained.config, generator).to(pretrained.wte.weight.device)
    parts = ["wte", "wpe", *(f"h.{layer}" for layer in range(n_layers))]
    for part in parts + ["ln_f"] * (n_layers == n_layer):
        weights = pretrained.get_submodule(part).state_dict()
        fresh.get_submodule(part).load_state_dict(weights)
    return fresh


def objective(auxiliary: float) -> Loss:
    """Return the loss L2 + λ·L1 of fine-tuning, λ = auxiliary.

    L2 is the mean negative log-probability of the labels (nats per example); L1 the
    mean over the sequences of their next-token loss (nats per token), on the labelled
    text itself. The loss takes (classifier, tokens (b, k, t), labels (b,)).

    Raises: ValueError if auxiliary is negative.
    Source: GPT-1, E4, E5.

    >>> classifier = lambda tokens: torch.zeros(1, 2)
    >>> objective(auxiliary=0.0)(classifier, None, torch.tensor([1])).item()
    0.6931471824645996
    """
    if auxiliary < 0:
        raise ValueError(f"auxiliary={auxiliary}; need a weight >= 0")

    def loss(classifier: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
        if not auxiliary:
            return F.cross_entropy(classifier(tokens), labels)
        logits, language = classifier(tokens, with_language_loss=True)
        return F.cross_entropy(logits, labels) + auxiliary * language

    return loss


def fine_tune(
    classifier: Classifier,
    examples: EncodedExamples,
    settings: FineTuning,
    generator: torch.Generator | None = None,
) -> History:
    """Train a classifier, head and language model alike, on labelled examples.

    The order of the examples and the dropout come from `generator`; PyTorch's own
    generator is left as it was.

    Raises: ValueError for examples that are not the classifier's, and for epochs or
    a batch size below 1.
    """
    classifier.check(examples)
    if settings.epochs < 1 or settings.batch_size < 1:
        raise ValueError(
            f"epochs={settings.epochs}, batch_size={settings.batch_size}; need >= 1"
        )
    generator = generator or torch.Generator()
    steps = settings.epochs * math.ceil(len(examples) / settings.batch_size)
    device = classifier.head.weight.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return train(
            classifier,
            examples.shuffled_batches(settings.batch_size, generator),
            steps,
            decayed_adam(classifier, settings.learning_rate, settings.weight_decay),
            schedule=short_warmup,
            loss=objective(settings.auxiliary),
            progress=False,
        )


def accuracy(classifier: Classifier, examples: EncodedExamples) -> float:
    """Return the share of examples whose likeliest label is right, with dropout off.

    Raises: ValueError for examples that are not the classifier's.
    """
    classifier.check(examples)
    device, right = classifier.head.weight.device, 0
    with frozen(classifier):
        for chosen in by_length(torch.arange(len(examples)), examples.lengths, 64):
            tokens, labels = examples.batch(chosen)
            found = classifier(tokens.to(device)).argmax(dim=1).cpu()
            right += (found == labels).sum().item()
    return right / len(examples)
