"""How Hugging Face's transformers lays out GPT-1 and GPT-2: settings and tensors.

Its `Conv1D` stores a matrix as (i, o), i inputs and o outputs; `nn.Linear` as (o, i).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gptcourse.models.gpt import GPT, GPTConfig

HEAD = "lm_head.weight"
_PREFIX = "transformer."
#: causal masks that old files store beside the weights
_MASK = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
#: our sizes by the names of transformers
_SIZES = {
    "vocab_size": "n_vocab",
    "n_positions": "n_ctx",
    "n_embd": "n_embd",
    "n_head": "n_head",
    "n_layer": "n_layer",
}
_DROPOUTS = ("embd_pdrop", "attn_pdrop", "resid_pdrop")
#: what transformers assumes where a config.json is silent
_USUAL_DROPOUT = 0.1


@dataclass(frozen=True)
class Family:
    """One generation of GPT as transformers knows it.

    `embeddings` lists the tables that it names otherwise. `fixed` lists, by setting,
    the values that our model computes with: the first is written, and assumed where a
    file is silent.
    """

    model_type: str
    architecture: str
    block: str
    embeddings: Mapping[str, str]
    fixed: Mapping[str, tuple]


# Our GELU is the tanh form, as OpenAI's. A GPT-2 names it "gelu_new", and "gelu" the
# exact form; a GPT-1 names the tanh form "gelu" (transformers, modeling_openai.py).
FAMILIES = (
    Family(
        "gpt2",
        "GPT2LMHeadModel",
        "pre_norm",
        {},
        {
            "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
            "layer_norm_epsilon": (1e-5,),
            "n_inner": (None,),
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
            "tie_word_embeddings": (True,),
        },
    ),
    Family(
        "openai-gpt",
        "OpenAIGPTLMHeadModel",
        "post_norm",
        {"wte": "tokens_embed", "wpe": "positions_embed"},
        {
            "afn": ("gelu",),
            "layer_norm_epsilon": (1e-5,),
            "tie_word_embeddings": (True,),
        },
    ),
)


def read_settings(settings: Mapping) -> GPTConfig:
    """Return the shape that the contents of a `config.json` describe.

    Raises: ValueError for an unknown family, a size that is missing, and a setting
    that our model cannot follow.

    >>> sizes = {"vocab_size": 9, "n_positions": 8, "n_embd": 4, "n_head": 2}
    >>> read_settings({"model_type": "gpt2", "n_layer": 1, **sizes}).n_vocab
    9
    """
    name = settings.get("model_type")
    family = next((one for one in FAMILIES if one.model_type == name), None)
    if family is None:
        known = ", ".join(one.model_type for one in FAMILIES)
        raise ValueError(f"model_type is {name!r}; this course reads {known}")
    for key in _SIZES:
        if type(settings.get(key)) is not int:
            raise ValueError(f"{key} is {settings.get(key)!r}; need a whole number")
    for key, allowed in family.fixed.items():
        allowed += (4 * settings["n_embd"],) if key == "n_inner" else ()
        if settings.get(key, allowed[0]) not in allowed:
            raise ValueError(
                f"{key} is {settings[key]!r}; our {name} computes with {allowed[0]!r}"
            )
    dropout, *others = (settings.get(key, _USUAL_DROPOUT) for key in _DROPOUTS)
    if type(dropout) not in (int, float) or others != [dropout, dropout]:
        raise ValueError(f"{', '.join(_DROPOUTS)} differ; our {name} has one dropout")
    sizes = {ours: settings[theirs] for theirs, ours in _SIZES.items()}
    return GPTConfig(**sizes, block=family.block, dropout=dropout)


def family_of(config: GPTConfig) -> Family:
    """Return the family whose blocks a model has; ValueError if none has them.

    >>> family_of(GPTConfig(9, 8, 4, 2, 1, block="post_norm")).model_type
    'openai-gpt'
    """
    for family in FAMILIES:
        if family.block == config.block:
            return family
    raise ValueError(f"transformers has no GPT with {config.block!r} blocks to save as")


def write_settings(config: GPTConfig, end_of_text: int | None) -> dict:
    """Return the contents of a `config.json`; `end_of_text` is that token's id.

    >>> write_settings(GPTConfig(9, 8, 4, 2, 1), end_of_text=None)["model_type"]
    'gpt2'
    """
    family = family_of(config)
    return {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "dtype": "float32",
        **{theirs: getattr(config, ours) for theirs, ours in _SIZES.items()},
        **dict.fromkeys(_DROPOUTS, config.dropout),
        **{key: allowed[0] for key, allowed in family.fixed.items()},
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def named_parameters(model: GPT) -> dict[str, Tensor]:
    """Return a model's parameters by the names that transformers gives them.

    >>> model = GPT(GPTConfig(9, 8, 4, 2, 1, block="post_norm"))
    >>> list(named_parameters(model))[:2]
    ['transformer.tokens_embed.weight', 'transformer.positions_embed.weight']
    """
    embeddings = family_of(model.config).embeddings
    found = {}
    for name, parameter in model.named_parameters():
        head, _, rest = name.partition(".")
        found[f"{_PREFIX}{embeddings.get(head, head)}.{rest}"] = parameter
    return found


def is_transposed(name: str) -> bool:
    """Tell whether transformers stores this tensor the other way round than we do.

    >>> is_transposed("transformer.h.0.mlp.c_fc.weight"), is_transposed("wte.weight")
    (True, False)
    """
    return ".c_" in name and name.endswith(".weight")


def full_name(stored: str) -> str | None:
    """Return a stored tensor's name with the prefix that many files leave out.

    None for what is no weight: the causal masks that old files hold.

    >>> full_name("wte.weight"), full_name("h.0.attn.bias")
    ('transformer.wte.weight', None)
    """
    name = stored.removeprefix(_PREFIX)
    if _MASK.fullmatch(name):
        return None
    return name if name == HEAD else _PREFIX + name
