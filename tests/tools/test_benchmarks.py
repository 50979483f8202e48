"""The comparisons compare like with like."""

import pytest

from benchmarks import __main__ as benchmarks_main
from benchmarks import recipe, speed
from gptcourse.models.gpt import GPT, GPTConfig, count_parameters
from gptcourse.training.optimizers import muon, warmup_linear


def test_the_peer_has_our_parameters():
    config = GPTConfig(n_vocab=65, n_ctx=16, n_embd=32, n_head=2, n_layer=2)
    assert count_parameters(speed.transformers_gpt2(config)) == count_parameters(config)


def test_both_take_turns_and_the_first_turn_is_not_counted():
    turns = []
    times = speed.in_turns(lambda: turns.append("a"), lambda: turns.append("b"), 2)
    assert "".join(turns) == "ababab"
    assert all(seconds >= 0 for seconds in times)


def test_a_row_of_each_kind_is_measured():
    config = GPTConfig(n_vocab=65, n_ctx=16, n_embd=32, n_head=2, n_layer=1)
    trained = speed.training("train", config, 2, 1.0, steps=1, repeats=1)
    written = speed.writing("write", config, 2, 4, 1.0, repeats=1)
    assert trained.ours > 0 and trained.peer > 0
    assert written.ours > 0 and written.peer > 0


def test_the_recipe_trains_on_the_text_given():
    tokens = GPT(GPTConfig(5, 64, 8, 2, 1)).wpe.weight.flatten().argsort() % 5
    run = recipe.run(tokens, tokens, 5, 2, 3, muon, warmup_linear(1))
    assert run.validation_step == [3]


@pytest.mark.parametrize(("seconds", "text"), [(0.0421, "42.1 ms"), (12.34, "12.3 s")])
def test_times_are_written_in_their_own_unit(seconds, text):
    assert benchmarks_main._time(seconds) == text
