"""Corpora: reading, summing up, and splitting without leaks."""

import hashlib

import pytest

from gptcourse.corpora.corpus import SEPARATOR, Corpus, Document


def _sentence(i, n=40):
    """Words that depend on `i` alone: no two of these texts share a run of three."""
    digest = hashlib.shake_256(str(i).encode()).hexdigest(4 * n)
    return " ".join(digest[j : j + 8] for j in range(0, len(digest), 8))


@pytest.fixture
def corpus():
    """Thirty unrelated texts, each followed by a copy with one word changed."""
    documents = []
    for i in range(30):
        text = _sentence(i)
        documents.append(Document("first", f"a{i}", text))
        documents.append(Document("second", f"b{i}", text.replace(text[:8], "other")))
    return Corpus(documents)


def _pairs_apart(corpus, train):
    numbers = {d.name for d in train.documents}
    return sum((f"a{i}" in numbers) != (f"b{i}" in numbers) for i in range(30))


@pytest.mark.parametrize("seed", range(5))
def test_near_copies_stay_on_one_side(corpus, seed):
    train, validation = corpus.split(validation=0.3, seed=seed)
    assert len(validation) > 10
    assert _pairs_apart(corpus, train) == 0


def test_a_split_without_groups_is_caught(corpus):
    mutant = Corpus(corpus.documents, range(len(corpus)))
    train, _ = mutant.split(validation=0.3)
    assert _pairs_apart(mutant, train) > 0


def test_a_split_loses_and_repeats_nothing(corpus):
    train, validation = corpus.split(0.2)
    both = sorted(train.documents + validation.documents, key=lambda d: d.name)
    assert both == sorted(corpus.documents, key=lambda d: d.name)


def test_validation_is_at_most_its_share_of_the_bytes_and_close_to_it(corpus):
    _, validation = corpus.split(0.25)
    share = len("".join(validation.texts())) / len("".join(corpus.texts()))
    assert 0.15 < share <= 0.25


def test_a_split_depends_on_texts_and_seed_not_on_order(corpus):
    def held_out(corpus, seed):
        return {d.name for d in corpus.split(0.2, seed)[1].documents}

    turned = Corpus(corpus.documents[::-1])
    assert held_out(corpus, 3) == held_out(turned, 3)
    assert held_out(corpus, 3) != held_out(corpus, 4)


def test_a_split_is_the_same_on_every_machine():
    corpus = Corpus([Document("a", str(i), _sentence(i)) for i in range(12)])
    order = sorted(
        range(12), key=lambda i: hashlib.sha256(f"7\0{_sentence(i)}".encode()).digest()
    )
    assert {int(d.name) for d in corpus.split(0.25, seed=7)[1].documents} == set(
        order[:3]
    )


def test_a_split_of_a_split_keeps_the_groups(corpus):
    train, _ = corpus.split(0.2)
    again, held_out = train.split(0.2)
    assert train.groups is not None
    names = {d.name[1:] for d in again.documents}
    assert names.isdisjoint(d.name[1:] for d in held_out.documents)


def test_two_documents_give_one_to_each_side():
    corpus = Corpus(
        [Document("a", "x", _sentence(1)), Document("a", "y", _sentence(2))]
    )
    assert list(map(len, corpus.split(0.01))) == [1, 1]


def test_text_joins_documents_by_the_separator(corpus):
    assert corpus.text.split(SEPARATOR) == corpus.texts()


def test_sources_count_documents_and_bytes():
    corpus = Corpus([Document("a", "x", "é"), Document("b", "y", "z")])
    assert corpus.sources == {"a": (1, 2), "b": (1, 1)}


def test_by_source_takes_the_documents_of_one_source(corpus):
    assert {d.source for d in corpus.by_source("second").documents} == {"second"}


def test_an_unknown_source_is_refused_with_the_known_ones(corpus):
    with pytest.raises(ValueError, match="no source 'third'.*'first', 'second'"):
        corpus.by_source("third")


@pytest.mark.parametrize("use", [Corpus.split, Corpus.texts, lambda c: c.text])
def test_an_empty_corpus_is_refused_in_one_line(use):
    with pytest.raises(ValueError, match="^the corpus is empty: .*at least one$"):
        use(Corpus(()))


@pytest.mark.parametrize("share", [0, 1, -0.1, 5])
def test_a_share_outside_nought_to_one_is_refused(corpus, share):
    with pytest.raises(ValueError, match=f"validation={share} is no share"):
        corpus.split(share)


def test_a_corpus_of_copies_cannot_be_split():
    copies = [Document("a", str(i), _sentence(1)) for i in range(3)]
    with pytest.raises(ValueError, match="cannot split: .*add documents"):
        Corpus(copies).split()


def test_group_numbers_must_match_the_documents():
    with pytest.raises(ValueError, match="1 documents but 2 group numbers"):
        Corpus([Document("a", "x", "z")], [0, 1])
