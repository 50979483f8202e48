"""Text to learn from: documentation, stories, web pages, downloads."""

from gptcourse.corpora.bloom import BloomFilter, ngram_hashes, normalise, overlap
from gptcourse.corpora.corpus import SEPARATOR, Corpus, Document
from gptcourse.corpora.filters import ExactCopies, Tally, not_english, too_short
from gptcourse.corpora.near_copies import near_copy_groups, signatures
from gptcourse.corpora.pages.crawl import (
    drop_near_copies,
    epochs,
    keep_probability,
    like_curated,
    mixture,
    pareto_keep,
    train_quality,
)
from gptcourse.corpora.pages.pipeline import crawl_stages
from gptcourse.corpora.pages.warc import read_warc
from gptcourse.corpora.pages.webtext import karma, keep, well_liked
from gptcourse.corpora.python_docs import python_docs
