"""How Hugging Face's transformers lays out GPT-1 and GPT-2: settings and tensors.

Its `Conv1D` stores a matrix as (i, o), i inputs and o outputs; `nn.Linear` as (o, i).
"""

import re
from collections.abc import Mapping

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

# Our GELU is the tanh form, as OpenAI's. A GPT-2 names it "gelu_new", and "gelu" the
# exact form; a GPT-1 names the tanh form "gelu" (transformers, modeling_openai.py).
#: What a config.json says of each kind of block, beside the sizes: written, demanded
#: where it is said, and assumed where a file is silent.
FAMILIES = {
    "pre_norm": {
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "n_inner": None,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    },
    "post_norm": {
        "model_type": "openai-gpt",
        "afn": "gelu",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
}
_ARCHITECTURES = {"pre_norm": "GPT2LMHeadModel", "post_norm": "OpenAIGPTLMHeadModel"}
#: the tables that GPT-1's class names otherwise
_TABLES = {"wte": "tokens_embed", "wpe": "positions_embed"}


def read_settings(settings: Mapping) -> GPTConfig:
    """Return the shape that the contents of a `config.json` describe.

    Raises: ValueError for an unknown family, a size that is missing, and a setting
    that our model cannot follow.

    >>> sizes = {"vocab_size": 9, "n_positions": 8, "n_embd": 4, "n_head": 2}
    >>> read_settings({"model_type": "gpt2", "n_layer": 1, **sizes}).n_vocab
    9
    """
    name = settings.get("model_type")
    blocks = {family["model_type"]: block for block, family in FAMILIES.items()}
    if name not in list(blocks):
        raise ValueError(
            f"model_type is {name!r}; this course reads {', '.join(blocks)}"
        )
    for key in _SIZES:
        if type(settings.get(key)) is not int:
            raise ValueError(f"{key} is {settings.get(key)!r}; need a whole number")
    # Two settings that may be said in another way.
    inner = 4 * settings["n_embd"]
    same = {"activation_function": "gelu_pytorch_tanh", "n_inner": inner}
    for key, ours in FAMILIES[blocks[name]].items():
        if settings.get(key, ours) not in (ours, same.get(key, ours)):
            raise ValueError(
                f"{key} is {settings[key]!r}; our {name} computes with {ours!r}"
            )
    dropout, *others = (settings.get(key, _USUAL_DROPOUT) for key in _DROPOUTS)
    if type(dropout) not in (int, float) or others != [dropout, dropout]:
        raise ValueError(f"{', '.join(_DROPOUTS)} differ; our {name} has one dropout")
    sizes = {ours: settings[theirs] for theirs, ours in _SIZES.items()}
    return GPTConfig(**sizes, block=blocks[name], dropout=dropout)


def write_settings(config: GPTConfig, end_of_text: int | None) -> dict:
    """Return the contents of a `config.json`; `end_of_text` is that token's id.

    Raises: ValueError for blocks that transformers has no model for.

    >>> write_settings(GPTConfig(9, 8, 4, 2, 1), end_of_text=None)["model_type"]
    'gpt2'
    """
    blocks = getattr(config, "masks", config.block)  # a SparseConfig's, or all others'
    if blocks not in FAMILIES:
        raise ValueError(f"transformers has no GPT with {blocks!r} blocks to save as")
    return {
        "architectures": [_ARCHITECTURES[config.block]],
        "dtype": "float32",
        **FAMILIES[config.block],
        **{theirs: getattr(config, ours) for theirs, ours in _SIZES.items()},
        **dict.fromkeys(_DROPOUTS, config.dropout),
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def named_parameters(model: GPT) -> dict[str, Tensor]:
    """Return a model's parameters by the names that transformers gives them.

    >>> model = GPT(GPTConfig(9, 8, 4, 2, 1, block="post_norm"))
    >>> list(named_parameters(model))[:2]
    ['transformer.tokens_embed.weight', 'transformer.positions_embed.weight']
    """
    renamed = _TABLES if model.config.block == "post_norm" else {}
    found = {}
    for name, parameter in model.named_parameters():
        part, _, rest = name.partition(".")
        found[f"{_PREFIX}{renamed.get(part, part)}.{rest}"] = parameter
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
