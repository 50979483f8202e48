"""Language models: GPT and its parts, an LSTM, writing, released weights."""

from gptcourse.models import huggingface
from gptcourse.models.attention import (
    CausalAttention,
    KeyValueCache,
    attend,
    causal_mask,
)
from gptcourse.models.beam_search import beam_search
from gptcourse.models.gpt import BLOCKS, GPT, PRESETS, GPTConfig, count_parameters
from gptcourse.models.layers import frozen, sinusoidal_positions
from gptcourse.models.lstm import LanguageModel, LSTMLanguageModel, lstm_like
from gptcourse.models.pretrained import load_pretrained, save_pretrained
from gptcourse.models.sampling import generate, next_token_probabilities, stream
from gptcourse.models.sparse import (
    MASKS,
    SparseBlock,
    SparseConfig,
    banded_attend,
    banded_mask,
    strided_mask,
)
