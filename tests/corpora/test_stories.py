"""Stories: one derivation a text, probabilities that sum to 1, and clean English."""

import re
import tomllib
from collections import Counter
from itertools import islice
from math import exp, fsum, log
from random import Random

import pytest

from gptcourse.corpora.stories import telling
from gptcourse.corpora.stories.chance import Table, Teller, derivations
from gptcourse.corpora.stories.plots import ROLE_OF
from gptcourse.corpora.stories.telling import story, tell
from gptcourse.corpora.stories.world import description, full_world, world_of

FIRST_OF_SEED_0 = (
    "The jumping contest was on Sunday, and Rosa hoped to beat Paul this time. Rosa "
    "practised on the hill every evening until she was tired out, but Paul was too "
    "lazy. Just before the end Paul gave Rosa a push, and nobody else saw it. For the "
    "rest of the day Rosa was angry. Rosa would not shake hands with Paul."
)
LOG_PROBABILITY_OF_SEED_0 = -24.481753156

SMALL = """
[words]
girls = ["Ada", "Eve"]
boys = ["Tim"]
family = ["aunt"]
relations = ["friend"]
colours = ["red"]
places = [["at sea", "to sea"], ["in bed", "to bed"]]
[things]
toys = ["egg", "top"]
[openings]
forms = ["{a} and {b} met."]
[endings]
"" = 2
"said" = 7
"shown" = 1
"shown said" = 5
"other" = 5
"both" = 6
"coda" = 10
"said coda" = 5
"coda both" = 3
"said claim" = 4
"claim" = 8
"retelling" = 3
"retelling said" = 2
"disputed" = 3
"contrast" = 4
"truth" = 3
[[asides]]
sides = [
    { tell = ["{b} was tall."], gist = "{b} was long" },
    { tell = ["{b} was short."], gist = "{b} was small" },
]
[feelings.happy]
good = true
said = ["glad", "full of joy"]
shown = ["{a} sang."]
[feelings.sad]
good = false
said = ["sad"]
shown = ["{a} cried."]
[said]
plain = ["{a} felt {feeling}.", "{a} felt {feeling}.", "{a} was {feeling}."]
both = ["{a} was FIRST, but {b} was SECOND."]
contrast = ["{a} was {feeling}, not {unfelt}.", "{a} was not {unfelt} but {feeling}."]
[claims]
said = ["{Claim}?"]
yes = ["Yes."]
no = ["No."]
undecided = ["Perhaps."]
[retellings]
leads = ["Again:"]
frames = ["{First}, then {second}."]
right = ["Right."]
wrong = ["Wrong."]
contrast = ["{Right}; it is false that {wrong}."]
[[plots]]
name = "race"
things = "toys"
begin = [["{a} ran {p} for {ax}.", "For {ax} {a} ran {p}."]]
gist = ["{a} ran"]
open = ["Who won?"]
[[plots.outcomes]]
name = "won"
tell = [["{She} won the {x}."]]
gist = ["{a} won"]
denies = ["lost"]
feels = { a = "happy", b = "sad" }
coda = ["{b} left {a}."]
[[plots.outcomes]]
name = "lost"
tell = [["{She} lost the {x}."]]
gist = ["{a} lost", "{b} beat {a}"]
denies = ["won"]
feels = { a = "sad" }
"""
SMALL_WORLD = world_of(tomllib.loads(SMALL))


@pytest.fixture(scope="module")
def all_small():
    """Every derivation of the small world: (text, log-probability)."""
    return list(derivations(lambda teller: tell(SMALL_WORLD, teller)))


@pytest.fixture(scope="module")
def thousand():
    return list(islice(telling.stories(seed=3), 1000))


def test_no_two_derivations_of_a_small_world_write_the_same_text(all_small):
    assert len(all_small) > 10_000
    assert len({text for text, _ in all_small}) == len(all_small)


def test_the_probabilities_of_a_small_world_sum_to_one(all_small):
    assert fsum(exp(found) for _, found in all_small) == pytest.approx(1, abs=1e-9)


def test_a_drawn_story_has_the_probability_of_its_derivation(all_small):
    enumerated = dict(all_small)
    for one in islice(telling.stories(0, SMALL_WORLD), 2000):
        assert one.log_probability == pytest.approx(enumerated[one.text], abs=1e-9)


def test_small_stories_come_as_often_as_their_probability_says(all_small):
    n = 100_000
    counts = Counter(one.text for one in islice(telling.stories(1, SMALL_WORLD), n))
    common = [(text, exp(found)) for text, found in all_small if n * exp(found) > 20]
    rest = 1 - fsum(p for _, p in common)
    observed = [counts[text] for text, _ in common]
    observed.append(n - sum(observed))
    expected = [n * p for _, p in common] + [n * rest]
    chi_square = fsum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    free = len(common)
    assert free > 100
    # A chi-square has mean `free` and variance 2 free: five deviations are never seen.
    assert abs(chi_square - free) < 5 * (2 * free) ** 0.5


def test_the_probability_of_a_full_story_follows_from_its_text_alone(thousand):
    for one in thousand[:150]:
        ways = list(derivations(lambda t: tell(full_world(), t), one.text))
        assert ways == [(one.text, pytest.approx(one.log_probability, abs=1e-9))]


def test_the_log_probability_counts_every_draw():
    # Half of all stories are opened ... worked out by hand from the tables above.
    text = "Ada ran at sea for an egg. Who won?"
    unopened, no_aside, first_form, hero, place, thing = (
        1 / 3,
        1 / 2,
        1 / 2,
        1 / 3,
        1 / 2,
        1 / 2,
    )
    open_ends, no_ending = 1 / 3, 2 / 10
    by_hand = (
        unopened * no_aside * first_form * hero * place * thing * open_ends * no_ending
    )
    assert telling.log_probability(text, SMALL_WORLD) == pytest.approx(log(by_hand))


@pytest.mark.parametrize(
    "text", ["", "Ada ran", "Ada ran at sea for an egg. Who won? "]
)
def test_a_text_that_the_world_never_writes_is_refused(text):
    with pytest.raises(ValueError, match="this world never writes that text"):
        telling.log_probability(text, SMALL_WORLD)


def test_texts_that_can_be_told_in_two_ways_are_summed():
    tables = Table(["a", "a", "b"])
    found = telling.score(lambda teller: teller.say(tables, {}), "a")
    assert found == pytest.approx(log(2 / 3))


def test_stories_are_the_same_for_a_seed_and_differ_between_seeds():
    first, again, other = (list(islice(telling.stories(s), 20)) for s in (5, 5, 6))
    assert first == again != other


def test_the_first_story_of_a_seed_is_the_same_everywhere():
    first = next(telling.stories(0))
    assert first.text == FIRST_OF_SEED_0
    assert first.log_probability == pytest.approx(LOG_PROBABILITY_OF_SEED_0)


def test_only_numbers_between_0_and_1_decide_what_is_told():
    assert story(full_world(), Teller(Random(5).random)) == next(telling.stories(5))


def test_stories_have_three_to_ten_sentences(thousand):
    # Speech and who said it are one sentence.
    counts = [len(re.findall(r'[.!?]"?(?= [A-Z"]|$)', one.text)) for one in thousand]
    assert min(counts) == 3 and 9 <= max(counts) <= 10
    assert 6 <= sum(counts) / len(counts) <= 7


def test_stories_are_clean_english(thousand):
    for one in thousand:
        assert re.fullmatch(r"[A-Za-z ,.!?:'\"]+", one.text), one.text
        assert one.text.count('"') % 2 == 0, one.text
        for wrong in (
            r"\ba [aeiou]",
            r"\ban [^aeiou]",
            r"  | [,.!?]",
            r"[.!?] [a-z]",
            r"^[a-z]",
            r"\b(\w+) \1\b(?<!had had)(?<!that that)",
        ):
            assert not re.search(wrong, one.text), (wrong, one.text)


def test_pronouns_agree_with_the_only_child_of_a_story(thousand):
    girls = set(description()["words"]["girls"])
    for one in thousand:
        kinds = {
            word in girls for word in re.findall(r"\w+", one.text) if word in ROSTER
        }
        if kinds == {True}:
            assert not re.search(r"\b(he|him)\b", one.text), one.text
        if kinds == {False}:
            assert not re.search(r"\b(she|herself)\b", one.text), one.text


ROSTER = {*description()["words"]["girls"], *description()["words"]["boys"]}


def test_every_feeling_is_said_of_somebody_and_follows_from_something(thousand):
    felt = {feeling for one in thousand for _, feeling in one.feelings}
    assert felt == set(description()["feelings"])
    for feeling in felt:
        assert any(f"felt {feeling}." in one.text for one in thousand)


def test_the_vocabulary_is_several_hundred_words():
    words = Counter(
        word
        for one in islice(telling.stories(0), 5000)
        for word in re.findall(r"[a-z']+", one.text.lower())
    )
    assert 400 <= len(words) <= 900


def test_text_is_whole_stories_of_the_size_asked_for():
    text = telling.text(seed=2, n_bytes=5000)
    parts = text.split(telling.SEPARATOR)
    assert parts == [one.text for one in islice(telling.stories(2), len(parts))]
    assert 0 <= len(text.encode()) - 5000 < 1000


def test_entropy_is_the_mean_of_minus_the_log_probability(all_small):
    exact = -fsum(exp(found) * found for _, found in all_small)
    assert telling.entropy(0, 20_000, SMALL_WORLD) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(
    "call",
    [
        lambda: next(telling.stories(-1)),
        lambda: next(telling.stories(1.5)),
        lambda: telling.text(0, 0),
        lambda: telling.entropy(0, 0),
    ],
)
def test_seeds_and_sizes_that_are_no_whole_numbers_are_refused(call):
    with pytest.raises(ValueError, match="give a whole number, [01] or more"):
        call()


def test_a_table_without_values_or_with_other_weights_is_refused():
    for values, weights in ([], None), (["a"], [1, 2]), (["a"], [0]):
        with pytest.raises(ValueError, match="each with a weight above 0"):
            Table(values, weights)


def slots(template):
    return set(re.findall(r"{(\w+)}", template))


def test_the_description_keeps_its_own_rules():
    data = description()
    feelings = set(data["feelings"])
    for plot in data["plots"]:
        assert plot["things"] in data["things"]
        ends = {outcome["name"]: outcome for outcome in plot["outcomes"]}
        assert len(ends) == len(plot["outcomes"])
        for outcome in plot["outcomes"]:
            assert set(outcome["feels"].values()) <= feelings
            for denied in outcome.get("denies", ()):
                heros = [end["feels"]["a"] for end in (outcome, ends[denied])]
                good, other = (data["feelings"][feeling]["good"] for feeling in heros)
                assert good != other, (plot["name"], outcome["name"], denied)
        for part in (plot, *plot["outcomes"]):
            for gist in part["gist"]:
                assert gist[0] in "{abcdefghijklmnopqrstuvwxyz", gist
                assert not gist.endswith("."), gist
                roles = {ROLE_OF.get(slot, slot) for slot in slots(gist)}
                assert roles <= {"a", "b", "x", "y"}, gist


def test_stories_go_on_with_the_endings_that_a_world_is_given():
    world = world_of(description(), {("claim",): 1})
    verdicts = {text for table in world.claims.values() for text in table.values}
    for told in islice(telling.stories(0, world), 50):
        assert any(told.text.endswith(verdict) for verdict in verdicts), told.text


def lost_and_told(move, n=400):
    """Stories of the small world that end badly and go on with one move."""
    world = world_of(tomllib.loads(SMALL), {(move,): 1, ("claim",): 1})
    told = islice(telling.stories(2, world), n)
    return [one.text for one in told if one.outcome == "lost"]


def test_what_was_felt_or_happened_is_told_beside_what_was_not():
    felt = {text.split(". ")[-1].split(" ", 1)[1] for text in lost_and_told("contrast")}
    assert {"was sad, not glad.", "was not full of joy but sad."} <= felt
    assert not felt & {"was glad, not sad.", "was not sad but glad."}
    happened = {text.split(". ")[-1] for text in lost_and_told("truth")}
    assert "Ada lost; it is false that Ada won." in happened
    assert "Ada won; it is false that Ada lost." not in happened


def test_a_retelling_is_called_right_when_its_outcome_is_the_one_told():
    found = Counter()
    for text in lost_and_told("disputed", 4000):
        _, _, retold = text.partition("Again: ")
        if retold:
            found[retold.endswith(" Right."), "won" in retold] += 1
    assert set(found) == {(True, False), (False, True)}
    # Of what ended badly, a good end is told thrice as often.
    assert 2 < found[False, True] / found[True, False] < 4.5


def test_good_news_is_claimed_three_times_as_often_as_bad():
    won, lost, untold = SMALL_WORLD.plots.values[0].outcomes.values
    for outcome, odds in ((won, (3, 1)), (lost, (1, 3))):
        truths = outcome.claims.truths
        shares = dict(zip(truths.values, truths.logs, strict=True))
        assert shares == {
            truth: pytest.approx(log(share / 4))
            for truth, share in zip(("yes", "no"), odds, strict=True)
        }
    assert won.claims.texts["yes"].values == (
        "{a} was full of joy",
        "{a} was glad",
        "{a} won",
    )
    assert won.claims.texts["no"].values == ("{a} lost", "{a} was sad", "{b} beat {a}")
    assert untold.claims.truths.values == ("undecided",)
    assert len(untold.claims.texts["undecided"].values) == 6


def test_the_first_side_of_an_aside_is_claimed_three_times_as_often():
    for side in SMALL_WORLD.asides.values:
        truths = side.claims.truths
        shares = dict(zip(truths.values, truths.logs, strict=True))
        is_first = "was tall." in side.forms.values[0]
        assert exp(shares["yes"]) == pytest.approx(3 / 4 if is_first else 1 / 4)
        claimed = side.claims.texts["yes" if is_first else "no"].values
        assert [claim[4:] for claim in claimed] == ["was long"]
