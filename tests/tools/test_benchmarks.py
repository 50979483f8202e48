"""The comparisons compare like with like."""

import pytest

from benchmarks import __main__ as benchmarks_main
from benchmarks import recipe, speed
from gptcourse.models.gpt import GPT, GPTConfig, count_parameters
from gptcourse.training.optimizers import muon, warmup_linear


def test_the_peer_has_our_parameters():
    config = GPTConfig(n_vocab=65, n_ctx=16, n_embd=32, n_head=2, n_layer=2)
    assert count_parameters(speed.transformers_gpt2(config)) == count_parameters(config)


def test_both_take_turns_and_medians_leave_out_the_first_turn(monkeypatch):
    clock, turns = [0.0], []
    spent = {"ours": iter([50, 1, 9, 3]), "peer": iter([70, 8, 2, 4])}
    monkeypatch.setattr(speed, "perf_counter", lambda: clock[0])

    def call(name):
        turns.append(name)
        clock[0] += next(spent[name])

    times = speed.in_turns(lambda: call("ours"), lambda: call("peer"), 3)
    assert turns == ["ours", "peer"] * 4
    assert times == (3, 4)


def test_a_row_of_each_kind_says_seconds_a_step_or_a_text(monkeypatch):
    def called_once(ours, peer, repeats):
        ours(), peer()
        return 6.0, 12.0

    monkeypatch.setattr(speed, "in_turns", called_once)
    config = GPTConfig(n_vocab=65, n_ctx=16, n_embd=32, n_head=2, n_layer=1)
    trained = speed.training("train", config, 2, 1.5, steps=3)
    assert trained == ("train", 2.0, 4.0, 1.5)
    assert speed.writing("write", config, 2, 4, 3.0) == ("write", 6.0, 12.0, 3.0)


def test_the_recipe_trains_on_the_text_given():
    tokens = GPT(GPTConfig(5, 64, 8, 2, 1)).wpe.weight.flatten().argsort() % 5
    run = recipe.run(tokens, tokens, 5, 2, 3, muon, warmup_linear(1))
    assert run.validation_step == [3]


@pytest.mark.parametrize(("seconds", "text"), [(0.0421, "42.1 ms"), (12.34, "12.3 s")])
def test_times_are_written_in_their_own_unit(seconds, text):
    assert benchmarks_main._time(seconds) == text


def test_asking_for_help_measures_nothing(capsys):
    with pytest.raises(SystemExit) as ended:
        benchmarks_main.main(["--help"])
    assert ended.value.code == 0
    assert "usage: python -m benchmarks" in capsys.readouterr().out


def test_only_the_comparisons_named_are_made(monkeypatch, capsys):
    monkeypatch.setattr(speed, "rows", lambda: [speed.Row("step", 0.5, 1.0, 1.7)])
    monkeypatch.setattr(recipe, "rows", lambda: pytest.fail("was not asked for"))
    benchmarks_main.main(["speed"])
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["ours", "peer", "ratio", "to", "reach"]
    assert line.split() == "step 500.0 ms 1.0 s 2.00 × 1.7 ×".split()
