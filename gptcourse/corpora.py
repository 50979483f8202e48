"""Real text for the course: Python's own documentation, and the field's downloads."""

import hashlib
import importlib.metadata
import platform
import sys
from pathlib import Path

from gptcourse import (
    corpus_cache,
    doc_links,
    doc_names,
    docstrings,
    documentation,
    near_copies,
    static_strings,
)
from gptcourse.corpus import SEPARATOR, Corpus, Document, SourceSummary
from gptcourse.downloads import download

__all__ = [
    "SEPARATOR",
    "Corpus",
    "Document",
    "SourceSummary",
    "download",
    "python_docs",
]
_READERS = (
    doc_links,
    doc_names,
    docstrings,
    documentation,
    near_copies,
    static_strings,
)


def python_docs() -> Corpus:
    """Return the documentation that came with this Python: about 10 MB of English.

    The help topics and the docstrings of the standard library, numpy, matplotlib and
    torch, read from their files without importing them; ordered by source, then name.
    Each document links to the documents that it names. Texts under 60 characters and
    exact copies are left out, and so is what only compiled code holds (`numpy.add`).

    The first call reads for some seconds and shows a progress bar. Later ones take the
    result from the user's cache folder (`GPTCOURSE_CACHE` names another). A cache that
    is damaged, or made from other versions, is built again.

    >>> corpus = python_docs()  # doctest: +SKIP
    >>> list(corpus.sources)  # doctest: +SKIP
    ['matplotlib', 'numpy', 'python topics', 'stdlib', 'torch']
    """
    path = corpus_cache.cache_folder() / "python_docs.jsonl.gz"
    fingerprint = _fingerprint()
    corpus = corpus_cache.load(path, fingerprint)
    if corpus is None:
        documents = documentation.read_documentation()
        groups = near_copies.near_copy_groups([d.text for d in documents])
        corpus = Corpus(documents, groups)
        corpus_cache.save(path, fingerprint, corpus)
    return corpus


def _fingerprint() -> dict[str, str]:
    """Say what the corpus is read from, and by which code: other values, other text."""
    code = hashlib.sha256()
    for module in _READERS:
        code.update(Path(module.__file__).read_bytes())
    versions = {name: importlib.metadata.version(name) for name in docstrings.PACKAGES}
    return {
        "python": f"{platform.python_version()} {sys.platform}",
        **versions,
        "reader": code.hexdigest(),
    }
