"""Text out: from logits to tokens, one at a time, with a key-value cache.

Axis letters: b batch, t position, v vocabulary.
"""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gptcourse.models.attention import KeyValueCache
from gptcourse.models.gpt import GPT
from gptcourse.models.layers import frozen


def next_token_probabilities(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Return the distribution (..., v) that the sampler draws from.

    The logits (..., v) are divided by the temperature; then only the `top_k`
    likeliest tokens stay, then the fewest whose probabilities reach `top_p`; what
    stays sums to 1. Temperature 0 puts everything on the likeliest token, an infinite
    one spreads it evenly over what stays. A token whose logit is -inf is never drawn;
    those at +inf share everything.

    Raises: ValueError for a setting out of range, for logits that hold nan, and for
    logits that are all -inf.
    Source: top-k, Fan et al. 2018; top-p, Holtzman et al. 2019.

    >>> next_token_probabilities(torch.tensor([2.0, 1.0, 0.0]), temperature=0).tolist()
    [1.0, 0.0, 0.0]
    >>> next_token_probabilities(torch.zeros(4), top_k=2).sum().item()
    1.0
    """
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature}; need >= 0 (0 is greedy)")
    if top_k is not None and not (isinstance(top_k, int) and top_k >= 1):
        raise ValueError(f"top_k={top_k}; need a whole number >= 1, or None for all")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}; need 0 < p <= 1, or None for all")
    highest = logits.amax(dim=-1, keepdim=True)
    if not (highest > -math.inf).all():  # nan is not greater either
        raise ValueError(
            "the logits hold nan, or -inf for every token; there is nothing to draw "
            "from (did the training diverge?)"
        )
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, True), 1.0)
    if top_k is not None and top_k < logits.shape[-1]:
        # By index, not by threshold: of equal logits exactly k stay.
        kept, where = logits.topk(top_k, dim=-1)
        logits = torch.full_like(logits, -math.inf).scatter(-1, where, kept)
    # Below the highest logit all are negative: divided by next to nothing they go to
    # -inf, where e to the power of them is 0, and the highest stays at 0.
    below = torch.where(logits == highest, 0.0, logits - highest)
    scaled = below / max(temperature, torch.finfo(below.dtype).tiny)
    scaled = torch.where(below.isneginf(), below, scaled)  # -inf / inf would be nan
    probabilities = scaled.softmax(dim=-1)
    return probabilities if top_p is None else _nucleus(probabilities, top_p)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    ordered, where = probabilities.sort(dim=-1, descending=True)
    # A token stays if those before it have not yet reached p: the first always does.
    stays = ordered.cumsum(dim=-1) - ordered < top_p
    stays[..., 0] = True  # also where p is too small for float32
    kept = torch.zeros_like(probabilities).scatter(-1, where, ordered * stays)
    return kept / kept.sum(dim=-1, keepdim=True)


@torch.inference_mode()
def stream(
    model: GPT,
    tokens: Tensor,
    n_new: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Yield n_new next tokens (b,), each as soon as it is drawn.

    `tokens` (b, t) are the prompts, t >= 1. A prompt longer than the context counts
    by its last n_ctx tokens. When the context is full, its later half is read again
    and writing goes on from there, so the text may be of any length, and a token is
    always drawn with at least n_ctx // 2 tokens of context.

    Raises: ValueError for an empty prompt, a token outside the vocabulary, a model in
    training that has dropout, and as `next_token_probabilities`.

    >>> from gptcourse.models.gpt import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=4, n_embd=8, n_head=2, n_layer=1))
    >>> len(list(stream(model, torch.tensor([[1, 2]]), 10)))
    10
    """
    if tokens.ndim != 2 or tokens.shape[1] == 0:
        raise ValueError(
            f"prompt of shape {tuple(tokens.shape)}; need (b, t) with t >= 1 tokens"
        )
    if model.training and model.config.dropout:
        raise ValueError("the model would write with dropout; call model.eval() first")
    n_ctx = model.config.n_ctx
    window = tokens[:, -n_ctx:]
    written = deque(window.unbind(dim=1), maxlen=max(1, n_ctx // 2))
    cache, products = KeyValueCache(), _products(model)
    for _ in range(n_new):
        if cache.length + window.shape[1] > n_ctx:
            cache, window = KeyValueCache(), torch.stack(tuple(written), dim=1)
        with products:
            logits = model.logits(model.hidden(window, cache)[:, -1])
        probabilities = next_token_probabilities(logits, temperature, top_k, top_p)
        if temperature == 0:  # certain: no generator need be asked
            new = probabilities.argmax(dim=-1)
        else:
            new = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        yield new
        window = new[:, None]
        written.append(new)


def generate(model: GPT, tokens: Tensor, n_new: int, **settings) -> Tensor:
    """Return the prompts (b, t) with n_new tokens written after each (b, t + n_new).

    The settings (`temperature`, `top_k`, `top_p`, `generator`), limits and errors are
    those of `stream`. Dropout is off while the model writes.

    >>> from gptcourse.models.gpt import GPTConfig
    >>> model = GPT(GPTConfig(n_vocab=9, n_ctx=4, n_embd=8, n_head=2, n_layer=1))
    >>> generate(model, torch.tensor([[1, 2]]), 3, temperature=0).shape
    torch.Size([1, 5])
    """
    with frozen(model):
        new = list(stream(model, tokens, n_new, **settings))
    return torch.cat([tokens, *(token[:, None] for token in new)], dim=1)


# What follows is for speed alone. A model that writes multiplies few rows by large
# matrices, so that its time goes into reading the weights. PyTorch's default product
# (MKL's) reads them with one core; oneDNN's, which PyTorch brings along but calls only
# from compiled graphs, reads them faster, and with all cores (`make bench`).
LARGE = 2**17


class _OneDNN(TorchFunctionMode):
    """A context in which oneDNN computes the products with large matrices."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Replace `F.linear(x, weight, bias=None)` where the weight is large."""
        if function is not F.linear or args[1].numel() < LARGE:
            return function(*args, **(kwargs or {}))
        x, weight, bias = (*args, None)[:3]
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _products(model: nn.Module) -> _OneDNN | nullcontext:
    """Return the context in which a model's products are fastest."""
    weights = list(model.parameters())
    plain = all(w.is_cpu and w.dtype == torch.float32 for w in weights)
    able = torch.backends.mkldnn.is_available() and not torch.is_autocast_enabled("cpu")
    gains = plain and able and max(map(torch.numel, weights)) >= LARGE
    return _OneDNN() if gains else nullcontext()
