"""One run read at several lengths: each reading is the run planned for it alone."""

import copy

import pytest
import torch

from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.training.batches import RandomBatches
from gptcourse.training.loop import train
from gptcourse.training.optimizers import adamw, muon
from gptcourse.training.readings import read_run, warmup_stay_decay

TEXT = torch.arange(400) * 7 % 20


def parts(optimizer=muon):
    """A model, its batches and its optimizer."""
    model = GPT(GPTConfig(20, 8, 16, 2, 1), torch.Generator().manual_seed(0))
    batches = RandomBatches(TEXT, 4, 8, torch.Generator().manual_seed(1))
    return model, batches, optimizer(model)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trained(factors, optimizer=muon):
    """The weights after steps whose rates are these factors of the optimizer's."""
    model, batches, rule = parts(optimizer)
    train(model, batches, len(factors), rule, schedule=lambda step, _: factors[step],
          progress=False)  # fmt: skip
    return weights(model)


RISE = [1 / 3, 2 / 3, 1.0]
OF_TEN = [*RISE, *[1.0] * 5, 1.0, 0.5]
OF_TWENTY = [*RISE, *[1.0] * 13, 1.0, 0.75, 0.5, 0.25]


def test_the_schedule_rises_stays_and_falls():
    schedule = warmup_stay_decay(3)
    assert [schedule(step, 10) for step in range(10)] == pytest.approx(OF_TEN)
    assert [schedule(step, 20) for step in range(20)] == pytest.approx(OF_TWENTY)


def test_without_warmup_the_rate_is_full_from_the_first_step():
    schedule = warmup_stay_decay(0, stay=0.5)
    assert [schedule(step, 4) for step in range(4)] == [1.0, 1.0, 1.0, 0.5]


def test_a_schedule_that_stays_to_the_end_never_falls():
    assert {warmup_stay_decay(1, stay=1)(step, 7) for step in range(7)} == {1.0}


@pytest.mark.parametrize("optimizer", [adamw, muon])
def test_each_reading_is_the_run_planned_for_its_length(optimizer):
    found = dict(read_run(*parts(optimizer), (10, 20), warmup=3))
    assert list(found) == [10, 20]
    assert torch.equal(weights(found[10]), trained(OF_TEN, optimizer))
    assert torch.equal(weights(found[20]), trained(OF_TWENTY, optimizer))


def test_between_readings_the_model_is_the_trunk():
    model, batches, optimizer = parts()
    seen = [weights(model) for _ in read_run(model, batches, optimizer, (10, 20),
                                             warmup=3)]  # fmt: skip
    assert torch.equal(seen[0], trained([*RISE, *[1.0] * 5]))
    assert torch.equal(seen[1], trained([*RISE, *[1.0] * 13]))


def test_a_branch_does_not_change_when_the_trunk_goes_on():
    run = read_run(*parts(), (10, 20), warmup=3)
    _, branch = next(run)
    before = copy.deepcopy(weights(branch))
    next(run)
    assert torch.equal(weights(branch), before)


def test_a_branch_is_ready_to_be_measured():
    [(_, branch)] = read_run(*parts(), (5,), warmup=0)
    assert not branch.training


@pytest.mark.parametrize("readings", [(0, 5), (5, 5), (10, 5), (-1,)])
def test_readings_that_do_not_rise_are_refused(readings):
    with pytest.raises(ValueError, match=r"need steps that rise, from 1 on$"):
        list(read_run(*parts(), readings, warmup=3))


@pytest.mark.parametrize(("warmup", "stay"), [(-1, 0.8), (3, 1.1), (3, -0.1)])
def test_a_schedule_out_of_range_is_refused(warmup, stay):
    with pytest.raises(ValueError, match=r"need warmup >= 0 and 0 <= stay <= 1$"):
        warmup_stay_decay(warmup, stay)
