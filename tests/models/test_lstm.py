"""The LSTM language model: its formula, its size, and a GPT's interface."""

import pytest
import torch

from gptcourse.lesson import checks
from gptcourse.models.gpt import GPTConfig, count_parameters
from gptcourse.models.lstm import LSTMConfig, LSTMLanguageModel, lstm_like
from gptcourse.training.batches import RandomBatches
from gptcourse.training.flops import flops_per_token
from gptcourse.training.loop import train, validation_loss
from gptcourse.training.optimizers import adamw

CONFIG = LSTMConfig(n_vocab=20, n_ctx=8, n_embd=12, width=16)


def small():
    return LSTMLanguageModel(CONFIG, torch.Generator().manual_seed(0)).eval()


def tokens(b=2, t=8):
    return torch.randint(20, (b, t), generator=torch.Generator().manual_seed(1))


def test_logits_equal_the_gates_by_hand():
    model, text = small(), tokens(1, 5)
    lstm = model.lstm
    hidden, cell = torch.zeros(16), torch.zeros(16)
    with torch.no_grad():
        for t, token in enumerate(text[0]):
            gates = lstm.weight_ih_l0 @ model.wte.weight[token] + lstm.bias_ih_l0
            gates += lstm.weight_hh_l0 @ hidden + lstm.bias_hh_l0
            write, keep, new, show = gates.chunk(4)
            cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
            hidden = show.sigmoid() * cell.tanh()
            logits = model.wte.weight @ model.c_proj(hidden)
            checks.close(model(text)[0, t], logits, f"logits at {t}")


def test_future_tokens_leave_earlier_logits_unchanged():
    checks.no_future_leak(small(), tokens())
    checks.sees_whole_past(small(), tokens())


@pytest.mark.parametrize("n_vocab", [300, 1000, 8000])
def test_its_size_is_within_a_percent_of_the_gpts(n_vocab):
    gpt = GPTConfig(n_vocab, n_ctx=128, n_embd=96, n_head=4, n_layer=3)
    lstm = count_parameters(LSTMLanguageModel(lstm_like(gpt)))
    assert lstm == pytest.approx(count_parameters(gpt), rel=0.01)
    assert lstm_like(gpt).n_embd == 96 and lstm_like(gpt).n_ctx == 128


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    one, other = small(), small()
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_it_trains_in_the_same_loop():
    text = torch.arange(400) * 7 % 20
    model = small()
    batches = RandomBatches(text, 8, 8, torch.Generator().manual_seed(2))
    history = train(model, batches, 150, adamw(model, lr=1e-2), progress=False)
    assert validation_loss(model, text) < 0.5 < history.loss[0]
    assert flops_per_token(model, 8) == 6 * count_parameters(model)


def test_an_impossible_shape_is_refused():
    with pytest.raises(ValueError, match="hidden_size must be greater than zero"):
        LSTMLanguageModel(LSTMConfig(n_vocab=20, n_ctx=8, n_embd=12, width=0))
