"""Tasks on documentation: honest, balanced, disjoint, the same for a seed."""

from collections import Counter

import pytest

from gptcourse.corpora.corpus import Corpus, Document
from gptcourse.tasks.docs import (
    LIBRARIES,
    doc_tasks,
    pages,
    passage,
    sentences,
    without_names,
)

SUBJECTS = ("clock", "table", "garden", "letter", "window", "river", "candle", "wagon")
VERBS = ("moves", "opens", "shows", "hides", "keeps", "paints", "draws", "finds")


def document(library, number):
    """A page of four sentences that stand nowhere else."""
    words = [SUBJECTS[number % 8], VERBS[number // 8 % 8], "abcdefgh"[number // 64]]
    start = f"The {words[2]} {words[0]} of {library[::-1]} {words[1]}"
    ends = ("its first part", "its second part", "a third part", "the last part")
    return Document(
        library,
        f"{library}.part.f{number}",
        " ".join(f"{start} {end} to the reader." for end in ends),
    )


def corpus(n=40):
    documents = [document(library, i) for library in LIBRARIES for i in range(n)]
    return Corpus(documents, range(len(documents)))


@pytest.fixture(scope="module")
def tasks():
    return doc_tasks(corpus())


def test_the_four_kinds_are_there(tasks):
    assert {name: task.kind for name, task in tasks.items()} == {
        "library": "classification",
        "summary": "entailment",
        "page": "similarity",
        "next": "multiple_choice",
    }
    assert len(tasks["next"].train[0].texts) == 5


@pytest.mark.parametrize("name", ["library", "summary", "page", "next"])
def test_labels_are_balanced_in_every_set(tasks, name):
    task = tasks[name]
    for part in (task.train, task.validation, task.test):
        counts = Counter(example.label for example in part)
        assert len(counts) == len(task.labels) and len(set(counts.values())) == 1


@pytest.mark.parametrize("name", ["summary", "page", "next"])
def test_the_library_tells_nothing_about_the_label(tasks, name):
    task = tasks[name]
    for library in (library[::-1] for library in LIBRARIES):
        labels = [e.label for e in task.train if library in e.texts[0]]
        counts = [labels.count(label) for label in range(len(task.labels))]
        assert min(counts) > 0 and max(counts) - min(counts) <= 2


def beginning(text):
    return " ".join(text.split()[:6])  # names the page in this made-up corpus


def test_labels_are_true(tasks):
    task = tasks["summary"]
    for description, summary in (e.texts for e in task.train if e.label == 1):
        assert beginning(description) == beginning(summary)
    for description, summary in (e.texts for e in task.train if e.label == 0):
        assert beginning(description) != beginning(summary)
        assert description.split()[4] == summary.split()[4]  # of the same library
    for first, second in (e.texts for e in tasks["page"].train if e.label == 1):
        assert beginning(first) == beginning(second) and first != second
    for example in tasks["next"].train:
        context, *endings = map(beginning, example.texts)
        assert [n for n, end in enumerate(endings) if end == context] == [example.label]


def test_no_page_stands_in_two_sets(tasks):
    for task in tasks.values():
        seen = [
            {beginning(text) for e in part for text in e.texts}
            for part in (task.train, task.validation, task.test)
        ]
        assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def test_a_seed_gives_the_same_tasks_and_another_seed_others(tasks):
    assert doc_tasks(corpus()) == tasks
    assert doc_tasks(corpus(), seed=1) != tasks


def test_passages_keep_to_the_characters_given():
    short = doc_tasks(corpus(), characters=70)["library"].train
    long = doc_tasks(corpus(), characters=300)["library"].train
    assert max(len(e.texts[0]) for e in short) <= 70
    assert 200 < max(len(e.texts[0]) for e in long) <= 300


def test_a_corpus_of_other_text_is_refused():
    other = Corpus([Document("novel", "one", "It was a dark and stormy night.")])
    with pytest.raises(ValueError, match="none of the sources matplotlib, numpy"):
        doc_tasks(other)


def test_too_few_pages_are_refused():
    with pytest.raises(ValueError, match="too few pages for the task 'library'"):
        doc_tasks(corpus(2))


# The pages.


@pytest.mark.parametrize(
    "giveaway",
    [
        "numpy",
        "NumPy",
        "np.dot",
        "PyTorch",
        "torch.nn",
        "plt",
        "matplotlib's",
        "argsort",
    ],
)
def test_giveaways_are_masked(giveaway):
    text = without_names(f"Look at {giveaway} for more.", "numpy.ndarray.argsort")
    assert text.removesuffix(" for more.") in ("Look at X", "Look at X's")


@pytest.mark.parametrize(
    "code", ["`axis`", "``x + 1``", ":class:`~a.B`", "f(x, y)", "a_b", "DataLoader"]
)
def test_names_of_code_are_masked(code):
    assert without_names(f"Use {code} here.", "a.b") == "Use X here."


def test_only_prose_is_kept():
    text = (
        "Return a plain word for each thing.\n\nParameters\n----------\n"
        "x : int\n    The number of things to be told about.\n\n"
        ">>> f(1)\nThis line is only shown to be left out.\n\n"
        "Too short. It came out in 2019 with all of the rest. Now this one stays in it."
    )
    assert sentences(text, "m.f") == (
        "Return a plain word for each thing.",
        "Now this one stays in it.",
    )


def test_a_sentence_of_two_pages_counts_for_the_first():
    shared = "This is said on many pages of it."
    own = "That is said on this page alone."
    texts = [("numpy", shared), ("torch", f"{shared} {own}"), ("novel", own)]
    parts = [Corpus([Document(source, "a.b", text)]) for source, text in texts]
    assert [[page.sentences for page in part] for part in pages(parts)] == [
        [(shared,)],
        [(own,)],
        [],
    ]


def test_a_passage_has_at_least_one_sentence():
    assert (
        passage(["A sentence that is too long."], 5) == "A sentence that is too long."
    )
