"""Common Crawl's three steps: keep what reads well, drop near copies, mix sources.

Built by hand in notebook 07.

The first two take an iterator of documents and give one. Choosing holds one document at
a time; the search for near copies holds all. For pages see `warc`, for many machines
`pipeline`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from gptcourse.corpora.corpus import Document
from gptcourse.corpora.filters import Filter, Tally
from gptcourse.corpora.near_copies import near_copy_groups

if TYPE_CHECKING:  # scikit-learn takes 150 MB, and few readers of texts need it
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression

ALPHA = 9.0
#: how many places words are hashed to; the paper does not say
N_FEATURES = 1 << 18
#: the paper's ten hashes: in Spark, ten tables of one hash each
TABLES = 10
#: of all runs of words in two texts, the share in both that makes them near copies;
#: the paper does not say
THRESHOLD = 0.5


@dataclass(frozen=True)
class QualityClassifier:
    """Tells curated text from raw text by its words, in whatever order they stand."""

    features: "HashingVectorizer"
    model: "LogisticRegression"

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Return how much each text looks like curated ones: (texts,), from 0 to 1."""
        return self.model.predict_proba(self.features.transform(texts))[:, 1]


def train_quality(curated: Sequence[str], raw: Sequence[str]) -> QualityClassifier:
    """Return a classifier fitted to curated texts (label 1) and raw ones (label 0).

    A word is what stands between white space, in lower case. It is hashed to one of
    `N_FEATURES` counts, and logistic regression weighs them. Counts are scaled to
    length 1, so that a long text is not surer than a short one (ours).

    Raises: ValueError for no curated or no raw texts, and where both are the same.
    Source: GPT-3, appendix A (in Spark, by its tokenizer and HashingTF).

    >>> classifier = train_quality(["a fine tale", "a fine day"], ["buy now", "buy it"])
    >>> good, bad = classifier.score(["a fine essay", "buy a watch now"])
    >>> bool(good > 0.5 > bad)
    True
    """
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression

    if not curated or not raw or set(curated) == set(raw):
        raise ValueError(
            f"{len(curated)} curated and {len(raw)} raw texts, or the same ones on both"
            " sides: a classifier needs some of each kind"
        )
    features = HashingVectorizer(
        tokenizer=str.split,
        token_pattern=None,
        n_features=N_FEATURES,
        alternate_sign=False,
    )
    labels = np.repeat([1, 0], [len(curated), len(raw)])
    model = LogisticRegression().fit(features.transform([*curated, *raw]), labels)
    return QualityClassifier(features, model)


def keep_probability(score: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Return the share of documents kept at each score: (2 - score)^-alpha.

    numpy's Pareto numbers x exceed 1 - score with this probability, as they have
    P(x > t) = (1 + t)^-alpha: the form that is also called Lomax.

    Raises: ValueError for a score outside 0 to 1, and for an alpha that is not above 0.
    Source: GPT-3, appendix A.

    >>> keep_probability(np.array([0.0, 0.5, 0.9, 1.0])).round(3)
    array([0.002, 0.026, 0.424, 1.   ])
    """
    score = np.asarray(score, dtype=float)
    wrong = score[~((score >= 0) & (score <= 1))]
    if len(wrong) or not alpha > 0:
        problem = f"score {wrong[0]}" if len(wrong) else f"alpha {alpha}"
        raise ValueError(f"{problem}: need scores from 0 to 1 and an alpha above 0")
    return (2 - score) ** -alpha


def pareto_keep(
    document: Document, score: float, alpha: float = ALPHA, seed: int = 0
) -> bool:
    """Draw whether a document of this score is kept: `pareto(alpha) > 1 - score`.

    Bad ones are kept too, now and then, as good text is not always like the curated.
    The number drawn depends on the seed and on the document alone, not on those before
    it, so that any order and any number of machines keep the same ones.

    Source: GPT-3, appendix A.

    >>> page = Document("a.org", "https://a.org/cat", "The cat sat on the mat.")
    >>> pareto_keep(page, score=1.0), pareto_keep(page, score=0.0)
    (True, False)
    """
    identity = "\0".join([str(seed), document.source, document.name, document.text])
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    generator = np.random.default_rng(int.from_bytes(digest, "little"))
    return bool(generator.pareto(alpha) > 1 - score)


def like_curated(
    classifier: QualityClassifier, alpha: float = ALPHA, seed: int = 0
) -> Filter:
    """Return a filter that draws, by a document's score, whether to keep it.

    Source: GPT-3, appendix A.

    >>> classifier = train_quality(["a fine essay"], ["buy now"])
    >>> like_curated(classifier)(Document("a.org", "https://a.org", "buy now"))
    'low quality'
    """

    def low_quality(document: Document) -> str | None:
        score = classifier.score([document.text])[0]
        kept = pareto_keep(document, score, alpha, seed)
        return None if kept else "low quality"

    return low_quality


def drop_near_copies(
    documents: Iterable[Document], tally: Tally, threshold: float = THRESHOLD
) -> Iterator[Document]:
    """Yield the first document of each group of near copies; count all in `tally`.

    Ten hashes, each a table of its own, find a pair of similarity j with probability
    1 - (1 - j)^10: 0.999 at 0.5, and still 0.65 at 0.1. So what is found is checked, in
    Spark by the sets themselves, here by all values of the signatures, an estimate with
    a standard error of 0.046 at most. Put curated text first, and its copies go.

    Source: GPT-3, appendix A (there sets of words, here of runs of three words).

    >>> texts = "The cat sat on the mat.", "A dog ran by.", "the cat sat on the mat"
    >>> pages = [Document("a.org", str(i), text) for i, text in enumerate(texts)]
    >>> tally = Tally()
    >>> [page.name for page in drop_near_copies(pages, tally)], tally.rows()
    (['0', '1'], [('kept', 2), ('near copy', 1)])
    """
    documents = list(documents)
    texts = [document.text for document in documents]
    groups = near_copy_groups(texts, bands=TABLES, rows=1, threshold=threshold)
    for i, document in enumerate(documents):
        if tally.count(None if groups[i] == i else "near copy"):
            yield document


def epochs(
    tokens: Mapping[str, float], shares: Mapping[str, float], total: float
) -> dict[str, float]:
    """Return how often each source is read in training: share * total / its tokens.

    Shares are taken as they stand; those in T2.2, as printed, add up to 101 %.

    Raises: ValueError for a source without tokens, and as `mixture` for weights.
    Source: GPT-3, T2.2.

    >>> tokens = {"Books1": 12e9, "Wikipedia": 3e9}
    >>> epochs(tokens, {"Books1": 0.08, "Wikipedia": 0.03}, total=300e9)
    {'Books1': 2.0, 'Wikipedia': 3.0}
    """
    _check_sources(tokens, shares)
    return {name: shares[name] * total / size for name, size in tokens.items()}


def mixture(
    sources: Mapping[str, Sequence[Document]],
    weights: Mapping[str, float],
    generator: np.random.Generator,
) -> Iterator[tuple[str, Document]]:
    """Yield (source, document) without end, each source's share of text by its weight.

    Shares are of characters: a source of long documents is drawn the less often. In an
    epoch of a source each of its documents comes once, in random order; after the last
    one the next epoch begins. Weights need not add up to 1.

    Raises: ValueError for weights of other sources, negative ones and all zero, and for
    a source without text.
    Source: GPT-3, section 2.2 and appendix B (no replacement within an epoch).

    >>> pages = {"crawl": [Document("crawl", "x", "Buy!")] * 3}
    >>> source, document = next(mixture(pages, {"crawl": 1}, np.random.default_rng(0)))
    >>> source, document.text
    ('crawl', 'Buy!')
    """
    lengths = {n: sum(len(d.text) for d in found) for n, found in sources.items()}
    _check_sources(lengths, weights)
    chances = [weights[n] * len(sources[n]) / lengths[n] for n in sources]
    return _draw(sources, np.array(chances) / sum(chances), generator)


def _draw(
    sources: Mapping[str, Sequence[Document]],
    chances: np.ndarray,
    generator: np.random.Generator,
) -> Iterator[tuple[str, Document]]:
    """Yield documents without end, of a source chosen anew each time."""

    def in_epochs(documents: Sequence[Document]) -> Iterator[Document]:
        while True:
            yield from (documents[i] for i in generator.permutation(len(documents)))

    endless = [(name, in_epochs(documents)) for name, documents in sources.items()]
    while True:
        name, documents = endless[generator.choice(len(endless), p=chances)]
        yield name, next(documents)


def _check_sources(sizes: Mapping[str, float], weights: Mapping[str, float]) -> None:
    """Refuse sources without text, and weights that do not fit them."""
    if set(weights) != set(sizes):
        raise ValueError(
            f"weights for {sorted(weights)}, but the sources are {sorted(sizes)}: give "
            "each source one"
        )
    if not all(0 <= w < np.inf for w in weights.values()) or not any(weights.values()):
        raise ValueError(
            f"weights {dict(weights)}: need numbers from 0 up, and not all of them 0"
        )
    empty = [name for name, size in sizes.items() if not size > 0]
    if empty:
        raise ValueError(f"no text in {empty}: add documents, or leave the source out")
