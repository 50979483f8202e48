"""Common Crawl's steps: the classifier and its draw, near copies, the mix."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, lomax

from gptcourse.corpora import near_copies as near_copies_module
from gptcourse.corpora.corpus import Document
from gptcourse.corpora.filters import Tally
from gptcourse.corpora.pages.crawl import (
    drop_near_copies,
    epochs,
    keep_probability,
    like_curated,
    mixture,
    pareto_keep,
    train_quality,
)
from gptcourse.corpora.pages.webtext import keep


def texts_of(words, n, seed=0, length=30):
    choose = random.Random(seed)
    words = words.split()
    return [" ".join(choose.choices(words, k=length)) for _ in range(n)]


GOOD = "the essay considers whether an argument is sound and what follows from it"
BAD = "buy cheap watches now click here free shipping best price the and it"


def one_line(error):
    return "\n" not in str(error.value)


# The classifier.


@pytest.fixture(scope="module")
def classifier():
    return train_quality(texts_of(GOOD, 100), texts_of(BAD, 300))


def test_unseen_texts_are_told_apart(classifier):
    good = classifier.score(texts_of(GOOD, 50, seed=1))
    bad = classifier.score(texts_of(BAD, 50, seed=1))
    assert good.shape == (50,)
    assert bad.min() >= 0 and good.max() <= 1
    assert bad.max() < 0.5 < good.min()


def test_the_score_is_logistic_regression_on_hashed_words():
    # By hand: two texts of one word each, w = ±a by symmetry, no intercept, and the
    # gradient of 1/2 |w|² + the loss is 0 where a = 1/(1 + e^a), so a = 0.4011.
    found = train_quality(["yes"], ["no"]).score(["yes", "no", "neither", ""])
    a = 0.401058137541547
    assert a == pytest.approx(1 / (1 + np.exp(a)))
    sure = 1 / (1 + np.exp(-a))
    assert found == pytest.approx([sure, 1 - sure, 0.5, 0.5], abs=1e-4)


@pytest.mark.parametrize(
    "same", ["Yes", "yes yes yes", " \n yes\t", "YES YES"], ids=range(4)
)
def test_case_length_and_white_space_do_not_count(same):
    score = train_quality(["yes"], ["no"]).score
    assert score([same]) == pytest.approx(score(["yes"]))


def test_signs_belong_to_their_word():
    score = train_quality(["yes"], ["no"]).score
    assert score(["yes!"]) == pytest.approx(0.5, abs=1e-4)


def test_words_are_counted(classifier):
    score = train_quality(["a b"], ["a c"]).score
    few, many = score(["a b", "a b b b"])
    assert many > few
    assert classifier.features.transform([f"word{i}" for i in range(50)]).min() >= 0


def test_two_words_hardly_ever_share_a_place(classifier):
    text = " ".join(f"word{i}" for i in range(1000))
    assert classifier.features.transform([text]).nnz > 990


def test_where_most_texts_are_raw_an_unknown_one_scores_low():
    assert train_quality(["yes"], ["no"] * 3).score(["neither"])[0] < 0.4


def test_a_score_does_not_depend_on_the_other_texts(classifier):
    texts = texts_of(GOOD + BAD, 20)
    alone = [classifier.score([text])[0] for text in texts]
    assert (classifier.score(texts) == alone).all()


@pytest.mark.parametrize(
    ("curated", "raw"),
    [([], ["a"]), (["a"], []), ([], []), (["a", "b"], ["b", "a", "b"])],
)
def test_one_kind_of_text_is_refused(curated, raw):
    with pytest.raises(ValueError, match="a classifier needs some of each") as error:
        train_quality(curated, raw)
    assert one_line(error) and str(error.value).startswith(f"{len(curated)} curated")


# Pareto's draw.


def test_the_share_kept_is_as_computed_from_the_paper():
    # papers.md, 3.4: (2 - s)^-9.
    scores = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1]
    percent = [0.20, 0.65, 2.6, 13.4, 42.4, 64.5, 91.4, 100]
    found = keep_probability(np.array(scores)) * 100
    assert found == pytest.approx(percent, rel=0.01, abs=0.005)


@given(st.floats(0, 1), st.floats(0.1, 20))
def test_the_share_kept_is_that_of_numpys_pareto_numbers(score, alpha):
    assert keep_probability(score, alpha) == pytest.approx(lomax.sf(1 - score, alpha))


def pages(n, text="Text."):
    return [Document("a.org", f"https://a.org/{i}", text) for i in range(n)]


@pytest.mark.parametrize(("score", "alpha"), [(0.9, 9), (0.5, 9), (0.5, 2)])
def test_documents_are_kept_as_often_as_their_score_says(score, alpha):
    found = sum(pareto_keep(page, score, alpha) for page in pages(4000))
    share = lomax.sf(1 - score, alpha)
    assert found == pytest.approx(4000 * share, abs=4 * (4000 * share) ** 0.5)


def test_the_numbers_drawn_are_paretos(monkeypatch):
    # A page is kept if and only if its number exceeds 1 - score: find it by halving.
    def number(page):
        low, high = 0.0, 64.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            kept = pareto_keep(page, 1 - middle)
            low, high = (middle, high) if kept else (low, middle)
        return low

    numbers = [number(page) for page in pages(300)]
    assert kstest(numbers, lomax(9).cdf).pvalue > 0.01
    assert len(set(numbers)) > 290


def test_a_higher_score_never_loses_a_document():
    scores = np.linspace(0, 1, 30)
    for page in pages(100):
        kept = [pareto_keep(page, score) for score in scores]
        assert kept == sorted(kept) and kept[-1] is True


def test_the_draw_depends_on_all_of_the_document_and_on_the_seed():
    def drawn(change, seed=0):
        changed = [change(f"{i}") for i in range(200)]
        return [pareto_keep(page, 0.92, seed=seed) for page in changed]

    first = drawn(lambda i: Document("a", i, "t"))
    assert first == drawn(lambda i: Document("a", i, "t"))
    assert first != drawn(lambda i: Document("a", i, "t"), seed=1)
    assert first != drawn(lambda i: Document("b", i, "t"))
    assert first != drawn(lambda i: Document("a", i + "'", "t"))
    assert first != drawn(lambda i: Document("a", i, "u"))
    # Nor does it run two parts together.
    ends = [Document(f"{i}x", "y", "z") for i in range(200)]
    for moved in (
        lambda i: Document(i, "xy", "z"),
        lambda i: Document(i + "x", "", "yz"),
    ):
        assert drawn(moved) != [pareto_keep(page, 0.92) for page in ends]
    # Links are no part of a page that is read twice.
    assert first == drawn(lambda i: Document("a", i, "t", ("x",)))


def test_a_lone_surrogate_stops_no_draw():
    assert pareto_keep(Document("a", "x", "\ud800"), 1.0)


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan"), [0.5, 2.0]])
def test_a_score_outside_0_to_1_is_refused(score):
    wrong = score[-1] if isinstance(score, list) else score
    with pytest.raises(ValueError, match=f"score {wrong}: need scores from 0 to 1"):
        keep_probability(score)


@pytest.mark.parametrize("alpha", [0, -9, float("nan")])
def test_an_alpha_that_is_not_above_0_is_refused(alpha):
    with pytest.raises(ValueError, match=f"alpha {alpha}: need .* an alpha above 0"):
        keep_probability(0.5, alpha)


def test_the_filter_keeps_the_good_and_counts_the_rest(classifier):
    good = [Document("g", str(i), t) for i, t in enumerate(texts_of(GOOD, 300, 2))]
    bad = [Document("b", str(i), t) for i, t in enumerate(texts_of(BAD, 300, 2))]
    tally = Tally()
    found = list(keep([*bad, *good], [like_curated(classifier)], tally))
    scores = classifier.score([d.text for d in [*bad, *good]])
    expected = lomax.sf(1 - scores, 9)
    assert len(found) == pytest.approx(expected.sum(), abs=4 * expected.sum() ** 0.5)
    assert Counter(d.source for d in found)["b"] < 15
    assert tally.rows() == [("kept", len(found)), ("low quality", 600 - len(found))]


def test_what_is_kept_depends_on_alpha_and_seed_but_not_on_the_order(classifier):
    documents = [Document("g", str(i), t) for i, t in enumerate(texts_of(GOOD, 80, 3))]

    def kept(documents, **options):
        found = keep(documents, [like_curated(classifier, **options)], Tally())
        return {document.name for document in found}

    assert (
        kept(documents)
        == kept(documents[::-1])
        == kept(documents[::2]) | kept(documents[1::2])
    )
    assert kept(documents) != kept(documents, seed=1)
    assert kept(documents, alpha=30) < kept(documents) < kept(documents, alpha=0.5)


# Near copies.


def near_copies(texts, **options):
    tally = Tally()
    documents = [Document("a", str(i), text) for i, text in enumerate(texts)]
    found = [d.name for d in drop_near_copies(documents, tally, **options)]
    assert tally.kept == len(found)
    return found, dict(tally.dropped)


def test_the_first_of_near_copies_is_kept():
    one, other = texts_of("abc def ghi jkl mno pqr stu vwx yz", 2, length=100)
    copy = one.replace("abc def", "new", 1)
    texts = [one, other, copy, one.upper(), other + " end"]
    assert near_copies(texts) == (["0", "1"], {"near copy": 3})
    assert near_copies(texts[::-1]) == (["0", "1"], {"near copy": 3})


def test_the_threshold_is_the_jaccard_similarity():
    words = [f"w{i}" for i in range(302)]  # 300 runs of three
    half = [*words[:202], *(f"v{i}" for i in range(100))]  # 200 of 400: 0.5
    texts = [" ".join(words), " ".join(half)]
    assert near_copies(texts, threshold=0.3)[0] == ["0"]
    assert near_copies(texts, threshold=0.7)[0] == ["0", "1"]


def test_texts_that_share_a_few_runs_stay_by_default():
    # A fifth of the runs in common: ten tables find nine of ten such pairs.
    shared = " ".join(f"s{i}" for i in range(52))
    texts = [
        shared + " " + " ".join(f"w{i}.{n}" for i in range(100)) for n in range(30)
    ]
    assert len(near_copies(texts)[0]) == 30
    assert len(near_copies(texts, threshold=0)[0]) == 1


@pytest.mark.parametrize(
    ("alike", "options", "found"),
    [
        (range(9, 120), {"threshold": 0}, ["0"]),
        (range(10, 120), {"threshold": 0}, ["0", "1"]),
        (range(60), {}, ["0"]),
        (range(59), {}, ["0", "1"]),
    ],
    ids=["in the last table", "in no table", "in half", "in less than half"],
)
def test_by_default_ten_tables_find_and_half_of_the_values_decide(
    monkeypatch, alike, options, found
):
    rows = np.zeros((2, 120))
    rows[1] = ~np.isin(range(120), alike)
    monkeypatch.setattr(near_copies_module, "signatures", lambda texts: rows)
    assert near_copies(["one", "two"], **options)[0] == found


def test_no_documents_are_no_near_copies():
    assert near_copies([]) == ([], {})


# The mix.

GPT3 = {  # T2.2: tokens, share, and epochs where they follow from the two
    "Common Crawl": (410e9, 0.60, 0.44),
    "WebText2": (19e9, 0.22, None),
    "Books1": (12e9, 0.08, 1.9),
    "Books2": (55e9, 0.08, 0.43),
    "Wikipedia": (3e9, 0.03, None),
}


def test_epochs_are_those_of_the_paper_where_its_table_agrees_with_itself():
    tokens = {name: row[0] for name, row in GPT3.items()}
    shares = {name: row[1] for name, row in GPT3.items()}
    found = epochs(tokens, shares, total=300e9)
    assert list(found) == list(GPT3)
    for name, (*_, printed) in GPT3.items():
        if printed:
            assert found[name] == pytest.approx(printed, rel=0.06)
    assert found["WebText2"] == pytest.approx(3.474, abs=1e-3)  # printed: 2.9
    assert found["Wikipedia"] == pytest.approx(3.0)  # printed: 3.4


def source(name, lengths):
    return [Document(name, f"{name}{i}", "x" * n) for i, n in enumerate(lengths)]


SOURCES = {"long": source("long", [900, 1100] * 5), "short": source("short", [50] * 40)}


def drawn(weights, n, seed=0, sources=SOURCES):
    generator = np.random.default_rng(seed)
    return list(itertools.islice(mixture(sources, weights, generator), n))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_weights_are_shares_of_the_text(share):
    sizes = Counter()
    for name, document in drawn({"long": 5 * share, "short": 5 * (1 - share)}, 20_000):
        assert document.source == name
        sizes[name] += len(document.text)
    assert sizes["long"] / sizes.total() == pytest.approx(share, abs=0.03)


def test_every_epoch_has_each_document_once_in_another_order():
    found = [
        d.name for name, d in drawn({"long": 1, "short": 1}, 4000) if name == "long"
    ]
    epochs = [tuple(found[i : i + 10]) for i in range(0, len(found), 10)]
    names = [document.name for document in SOURCES["long"]]
    assert len(epochs) > 10
    assert all(sorted(epoch) == sorted(names) for epoch in epochs[:-1])
    assert len(set(epochs[:-1])) == len(epochs) - 1


def test_the_mix_is_the_generators():
    one, two, other = (drawn({"long": 1, "short": 1}, 100, seed) for seed in (0, 0, 1))
    assert one == two != other
    # The choice of the source, and the order within one.
    assert [name for name, _ in one] != [name for name, _ in other]
    alone = {"long": SOURCES["long"]}
    assert drawn({"long": 1}, 10, 0, alone) != drawn({"long": 1}, 10, 1, alone)


def test_a_source_of_weight_0_is_never_drawn():
    assert {name for name, _ in drawn({"long": 0, "short": 1}, 300)} == {"short"}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"long": 1, "short": -1}, "need numbers from 0 up, and not all of them 0"),
        ({"long": 0, "short": 0}, "need numbers from 0 up, and not all of them 0"),
        ({"long": 1, "short": float("nan")}, "need numbers from 0 up"),
        ({"long": 1, "short": float("inf")}, "need numbers from 0 up"),
        ({"long": 1}, r"weights for \['long'\], but the sources are \['long', 'short'"),
        ({"long": 1, "short": 1, "x": 1}, "'x'.*but the sources are"),
        ({"long": 1, "x": 1}, "'x'.*but the sources are"),
    ],
)
def test_weights_that_do_not_fit_are_refused_at_once(weights, message):
    for call in (
        lambda: mixture(SOURCES, weights, np.random.default_rng(0)),
        lambda: epochs({"long": 10, "short": 2}, weights, total=100),
    ):
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert one_line(error)


@pytest.mark.parametrize("empty", [[], source("short", [0, 0])])
def test_an_empty_corpus_is_refused(empty):
    sources = {**SOURCES, "short": empty}
    with pytest.raises(ValueError, match=r"no text in \['short'\]: add") as error:
        mixture(sources, {"long": 1, "short": 0}, np.random.default_rng(0))
    assert one_line(error)
    with pytest.raises(ValueError, match=r"no text in \['short'\]: add"):
        epochs({"long": 5, "short": 0}, {"long": 1, "short": 1}, total=10)


def test_no_sources_are_refused():
    with pytest.raises(ValueError, match="not all of them 0"):
        mixture({}, {}, np.random.default_rng(0))
