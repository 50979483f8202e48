"""What training costs in floating-point operations."""

from torch import nn

from gptcourse.models.gpt import GPTConfig


def flops_per_token(model: nn.Module, n_ctx: int) -> float:
    """Return the FLOPs of training on one token: 6 a weight, and attention's own.

    For a GPT, 6N + 12·l·c·n_ctx, N without the position table, whose rows are looked
    up and never multiplied; the token table counts as the softmax's matrix. For a
    model without a GPT's config, 6N.

    Source: Kaplan et al. 2020, §2.1 (6N); Chowdhery et al. 2022 (PaLM), App. B.

    >>> flops_per_token(nn.Linear(10, 10, bias=False), n_ctx=8)
    600.0
    """
    weights = sum(p.numel() for p in model.parameters())
    config = getattr(model, "config", None)
    if not isinstance(config, GPTConfig):
        return 6.0 * weights
    weights -= config.n_ctx * config.n_embd
    return 6.0 * weights + 12.0 * config.n_layer * config.n_embd * n_ctx
