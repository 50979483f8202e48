"""The world of colours: who answers how, and what an answer is worth."""

from random import Random

import pytest
import torch

from gptcourse.tasks import colours


def responses(*answers, thing="sky"):
    """Tokens and mask (b, t) of answers to one question."""
    prompt = colours.encode(colours.question(thing))
    rows = [[*colours.encode(answer), colours.END] for answer in answers]
    tokens = torch.zeros(len(rows), colours.N_CTX, dtype=torch.long)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(prompt) + len(row)] = torch.tensor(prompt + row)
        mask[i, len(prompt) : len(prompt) + len(row)] = True
    return tokens, mask


@pytest.mark.parametrize(
    ("answer", "worth"),
    [
        ("the sky is blue .", 1.0),
        ("the sky is red .", -1.0),
        ("the sky is blue . dear", 1.5),
        ("the sky is blue . dear dear dear", 1.9),
        ("the sky is blue ." + " dear" * 8, 1.0 - 1.8),
        ("the sky is blue . bah", 0.3),
        ("the sky is blue . the sun is yellow .", 0.8),  # one statement too many
        ("the sky is blue . the sun is red .", -1.2),
        ("the sun is yellow .", 0.0),  # true, but nobody asked
        ("", 0.0),
        ("dear friend", 0.8),
    ],
)
def test_worth_adds_up_as_it_is_described(answer, worth):
    assert colours.worth("sky", answer) == pytest.approx(worth)
    assert colours.gold(*responses(answer)).tolist() == pytest.approx([worth])


def test_gold_reads_the_response_alone():
    tokens, mask = responses("the sky is blue .", "the sky is blue . dear")
    tokens[~mask & (torch.arange(colours.N_CTX) >= colours.N_PROMPT)] = colours.encode(
        "bah"
    )[0]
    assert colours.gold(tokens, mask).tolist() == [1.0, 1.5]


def test_what_stands_after_the_end_counts_for_nothing():
    tokens, mask = responses("the sky is blue .")
    end = colours.N_PROMPT + 6
    tokens[0, end], mask[0, end] = colours.encode("bah")[0], True
    assert colours.gold(tokens, mask).tolist() == [1.0]


def test_a_labeller_errs_by_a_normal_error_for_each_answer():
    rows = responses(*["the sky is blue .", "the sky is red ."] * 2000)
    sure = colours.labeller(0.0, torch.Generator().manual_seed(0))
    assert torch.equal(sure(*rows), colours.gold(*rows))
    errs = colours.labeller(0.5, torch.Generator().manual_seed(0))(*rows)
    errors = errs - colours.gold(*rows)
    assert errors.mean().item() == pytest.approx(0, abs=0.03)
    assert errors.std().item() == pytest.approx(0.5, abs=0.03)
    ranked_wrong = (errs[1::2] > errs[::2]).float().mean().item()
    assert ranked_wrong == pytest.approx(0.002, abs=0.003)  # 2 apart, error 0.71


def test_a_win_is_one_a_tie_half():
    better = responses("the sky is blue . dear", "the sky is blue .")
    worse = responses("the sky is blue .", "the sky is blue .")
    assert colours.win_rate(better, worse) == 0.75
    assert colours.win_rate(worse, better) == 0.25


@pytest.mark.parametrize("thing", colours.THINGS)
def test_authors_answer_as_their_kind_does(thing):
    rng = Random(0)
    true = f"the {thing} is {colours.COLOUR_OF[thing]} ."
    for _ in range(20):
        assert colours.answer(thing, "plain", rng) == true
        assert colours.answer(thing, "kind", rng).startswith(true)
        assert colours.answer(thing, "kind", rng).split()[-1] in colours.KIND
        assert true not in colours.answer(thing, "liar", rng)
        assert colours.answer(thing, "rude", rng).split()[-1] in colours.RUDE


def test_demonstrators_come_in_their_shares():
    found = [a for _, a in colours.demonstrations(4000, Random(1))]
    rude = sum(any(colours.WORDS[t] in colours.RUDE for t in a) for a in found)
    assert rude / len(found) == pytest.approx(0.06, abs=0.02)


def test_every_answer_fits_and_ends_where_it_can():
    for question, answer in colours.demonstrations(500, Random(2)):
        assert len(question) == colours.N_PROMPT
        assert len(answer) <= colours.N_ANSWER
        assert answer[-1] == colours.END or len(answer) == colours.N_ANSWER


@pytest.mark.parametrize("questions", [0.0, 1.0])
def test_the_web_holds_the_share_of_questions_asked_for(questions):
    inputs, targets = next(colours.web(50, Random(3), questions))
    assert inputs.shape == targets.shape == (50, colours.N_CTX - 1)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    what = colours.NUMBER["what"]
    assert (inputs[:, 0] == what).float().mean().item() == questions


def test_judgements_are_true():
    for seed in range(100):
        text = colours.story(Random(seed))
        if text.startswith("i saw"):
            continue
        words = text.split()
        for noun, colour, verdict in zip(
            words[1::7], words[3::7], words[5::7], strict=False
        ):
            assert (colours.COLOUR_OF[noun] == colour) == (verdict == "yes")


def test_the_same_seed_gives_the_same_world():
    one, other = (next(colours.web(5, Random(4)))[0] for _ in range(2))
    assert torch.equal(one, other)


def test_an_unknown_word_is_named():
    with pytest.raises(ValueError, match="^'sea-green' is no word of this world"):
        colours.encode("the sea is sea-green")
