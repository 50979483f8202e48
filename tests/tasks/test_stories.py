"""The four labelled sets: right labels, disjoint parts, and no short cut by words."""

import re
from collections import Counter

import pytest
import torch

from gptcourse.corpora.stories.world import description, world_of
from gptcourse.tasks import stories
from gptcourse.tasks.labelled import Kind


@pytest.fixture(scope="module")
def sets():
    return stories.story_tasks(1200, 6, 600, seed=1)


def test_there_is_one_task_of_each_kind(sets):
    assert sorted(made.kind for made in sets.values()) == sorted(Kind)


def words(text):
    return re.findall(r"\w+", text.lower())


def best_linear_guess(labelled, features):
    """The test accuracy of ridge regression from counted features to the labels."""
    index = {}
    parts = {}
    for part in ("train", "test"):
        rows = [Counter(features(example)) for example in getattr(labelled, part)]
        if part == "train":
            index = {word: i for i, word in enumerate(sorted(set().union(*rows)))}
        table = torch.zeros(len(rows), len(index) + 1)
        table[:, -1] = 1
        for i, row in enumerate(rows):
            for word in row.keys() & index.keys():
                table[i, index[word]] = row[word]
        labels = torch.tensor([example.label for example in getattr(labelled, part)])
        parts[part] = table, labels
    x, labels = parts["train"]
    y = torch.nn.functional.one_hot(labels, len(labelled.labels)).float()
    weights = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]), x.T @ y)
    x, labels = parts["test"]
    return (x @ weights).argmax(1).eq(labels).float().mean().item()


@pytest.mark.parametrize("name", stories.TASKS)
def test_sets_have_their_sizes_and_balanced_labels(sets, name):
    made = sets[name]
    assert [len(part) for part in (made.train, made.validation, made.test)] == [
        1200,
        6,
        600,
    ]
    for part in (made.train, made.test):
        counts = Counter(example.label for example in part)
        assert len(counts) == len(made.labels)
        assert max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.parametrize("name", stories.TASKS)
def test_no_text_stands_twice(sets, name):
    made = sets[name]
    firsts = [e.texts[0] for e in (*made.train, *made.validation, *made.test)]
    assert len(set(firsts)) == len(firsts)


@pytest.mark.parametrize("name", stories.TASKS)
def test_a_task_is_the_same_for_a_seed_and_differs_between_seeds(name):
    first, again, other = (
        stories.story_task(name, 6, 6, 6, seed) for seed in (4, 4, 5)
    )
    assert first == again != other


@pytest.mark.parametrize("name", stories.TASKS)
def test_an_input_stays_below_a_hundred_words(sets, name):
    inputs = []
    for example in sets[name].train:
        sizes = [len(words(text)) for text in example.texts]
        both = name == "endings"  # the model reads one ending at a time
        inputs.append(sizes[0] + max(sizes[1:]) if both else sum(sizes))
    assert sum(inputs) / len(inputs) < 75
    assert sum(size > 100 for size in inputs) < 0.01 * len(inputs)


def test_the_classified_text_does_not_say_the_feeling(sets):
    feelings = description()["feelings"].values()
    said = "|".join(word for feeling in feelings for word in feeling["said"])
    for example in sets["feelings"].train:
        assert not re.search(rf"\b({said})\b", example.texts[0])
        assert re.search(r"How did \w+ feel\?$", example.texts[0])


def test_right_and_wrong_endings_have_the_same_words(sets):
    for example in sets["endings"].train:
        _, first, second = example.texts
        assert first != second
        assert sorted(words(first)) == sorted(words(second))


def test_a_bag_of_words_does_not_know_the_right_ending(sets):
    guess = best_linear_guess(sets["endings"], lambda e: words(" ".join(e.texts)))
    assert guess < 0.5 + 0.07


def test_a_hypothesis_alone_does_not_know_its_label(sets):
    guess = best_linear_guess(sets["entailment"], lambda e: words(e.texts[1]))
    assert guess < 1 / 3 + 0.08


def test_the_overlap_of_words_does_not_know_the_label_of_a_hypothesis(sets):
    def overlap(example):
        premise, hypothesis = map(set, map(words, example.texts))
        return [
            f"shared {len(premise & hypothesis)}",
            f"new {len(hypothesis - premise)}",
        ]

    assert best_linear_guess(sets["entailment"], overlap) < 1 / 3 + 0.1


@pytest.mark.parametrize("kind", ["both", "difference"])
def test_bags_of_words_do_not_know_whether_two_tellings_are_the_same(sets, kind):
    def bags(example):
        first, second = (Counter(words(text)) for text in example.texts)
        if kind == "both":
            return first + second
        return {word: abs(first[word] - second[word]) for word in first | second}

    assert best_linear_guess(sets["similarity"], bags) < 0.5 + 0.07


def plain_world(n_names=6):
    """A world of one plot that ends well or badly, and says which in plain words."""
    data = description()
    data["words"] |= {kind: data["words"][kind][:n_names] for kind in ("girls", "boys")}
    plot = {"name": "trip", "things": "toys", "begin": [["{a} and {b} set out {p}."]]}
    plot |= {"gist": ["{a} and {b} set out"], "open": ["It was noon."]}
    ends = {"finely": ("happy", "poorly"), "poorly": ("sad", "finely")}
    plot["outcomes"] = [
        {
            "name": end,
            "tell": [[f"It went {end}."]],
            "gist": [f"all went {end}", f"it ended {end}"],
            "denies": [other],
            "feels": {"a": feeling},
        }
        for end, (feeling, other) in ends.items()
    ]
    return world_of(data | {"plots": [plot]})


GOOD = r"\b(happy|glad|full of joy|finely)\b"
BAD = r"\b(sad|unhappy|poorly)\b"


def plain_examples(name):
    made = stories.story_task(name, 60, 1, 1, seed=2, world=plain_world())
    for example in made.train:
        yield example.texts, made.labels[example.label]


def test_labels_stay_balanced_where_texts_come_again():
    made = stories.story_task("feelings", 200, 1, 1, seed=2, world=plain_world(1))
    counts = Counter(example.label for example in made.train)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_feelings_follow_from_the_end():
    for (text,), label in plain_examples("feelings"):
        assert label == ("happy" if re.search(GOOD, text) else "sad")


def test_a_claim_about_the_end_is_true_false_or_open():
    found = set()
    for (story, claim), label in plain_examples("entailment"):
        if re.search(GOOD, claim) or re.search(BAD, claim):
            told = "noon" not in story
            true = bool(re.search(GOOD, claim)) == bool(re.search(GOOD, story))
            assert label == (("yes" if true else "no") if told else "undecided")
            found.add(label)
    assert found == {"yes", "no", "undecided"}


def test_a_claim_about_an_aside_is_true_false_or_open():
    sides = {}
    for number, aside in enumerate(description()["asides"]):
        for which, side in enumerate(aside["sides"]):
            for text in (*side["tell"], f"{side['gist']}."):
                sides[text.replace("{b}", "").strip()] = number, which
    found = set()
    for (story, claim), label in plain_examples("entailment"):
        told = [side for text, side in sides.items() if text in story]
        claimed = [side for text, side in sides.items() if claim.endswith(text)]
        if told and claimed:
            (topic, which), (other, claimed_which) = told[0], claimed[0]
            same = "yes" if which == claimed_which else "no"
            assert label == (same if topic == other else "undecided"), (story, claim)
            found.add(label)
    assert found == {"yes", "no", "undecided"}


def test_two_tellings_are_the_same_when_both_end_alike():
    for texts, label in plain_examples("similarity"):
        first, second = (bool(re.search(GOOD, text)) for text in texts)
        assert label == ("same" if first == second else "different")


def test_the_right_ending_says_that_what_happened_is_true():
    for (story, *pair), label in plain_examples("endings"):
        text = pair[("first", "second").index(label)]
        # What follows "not" or "false that" or "not believe that" is denied.
        denied = re.search(
            r"(?:not believe that|false that|not) ([^:.]*?)( but|:|\.)", text
        )
        assert bool(re.search(GOOD, denied[1])) != bool(re.search(GOOD, story)), text


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task 'grammar'; choose one of feelings, "):
        stories.story_task("grammar", 6, 6, 6, seed=0)


@pytest.mark.parametrize("sizes", [(0, 6, 6), (6, -1, 6), (6, 6, 2.5)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="n_(train|validation|test) .*1 or more"):
        stories.story_task("feelings", *sizes, seed=0)


def test_more_examples_than_the_world_has_are_refused():
    data = description()
    data["words"] |= {"girls": ["Anna"], "boys": ["Tom"], "colours": ["red"]}
    data["words"]["relations"] = ["friend"]
    data["openings"]["forms"] = data["openings"]["forms"][:1]
    outing = next(plot for plot in data["plots"] if plot["name"] == "outing")
    outing["begin"] = [step[:1] for step in outing["begin"]]
    data["plots"] = [outing]
    world = world_of(data)
    assert len(stories.story_task("feelings", 20, 5, 5, 0, world).train) == 20
    with pytest.raises(ValueError, match="this world gave only [0-9]+ different ones"):
        stories.story_task("feelings", 50_000, 5, 5, 0, world)
