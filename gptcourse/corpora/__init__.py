"""Text to learn from: documentation, stories, web pages, downloads."""

from gptcourse.corpora.bloom import BloomFilter, ngram_hashes, normalise, overlap
from gptcourse.corpora.corpus import SEPARATOR, Corpus, Document
from gptcourse.corpora.filters import ExactCopies, Tally, not_english, too_short
from gptcourse.corpora.python_docs import python_docs
from gptcourse.corpora.webtext import karma, keep, well_liked
