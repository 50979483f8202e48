"""Python's own documentation as a corpus, kept on disk once it has been read."""

import gzip
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import stat
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

from platformdirs import user_cache_path

from gptcourse.common import whole_file
from gptcourse.corpora.corpus import Corpus, Document
from gptcourse.corpora.docstrings import clean, read_docstrings
from gptcourse.corpora.links import Links
from gptcourse.corpora.near_copies import near_copy_groups

PACKAGES = ("numpy", "matplotlib", "torch")
TOPICS = "python topics"
# Below this, a docstring is mostly a signature, or "Return the x of y.".
MIN_CHARACTERS = 60
_log = logging.getLogger(__name__)
FILE = "python_docs.jsonl.gz"
#: the files whose code decides what the corpus holds
_READERS = ("docstrings.py", "links.py", "near_copies.py", "python_docs.py")


def python_docs() -> Corpus:
    """Return the documentation that came with this Python: over 9 MB of English.

    The help topics and the docstrings of the standard library, numpy, matplotlib and
    torch, read from their files without importing them; ordered by source, then name.
    Each document links to the documents that it names. Texts under 60 characters and
    exact copies are left out, and so is what only compiled code holds (`numpy.add`).

    The first call reads for some seconds and shows progress bars. Later ones read
    a cache: in the folder `GPTCOURSE_CACHE` ("~" is the home folder), else in the
    user's cache folder; where that cannot be written, in a private folder under the
    temporary one, which the log mentions. A warning says when there is none, or no home
    folder to begin with. A cache that is damaged, or made from other versions, is built
    again.

    >>> corpus = python_docs()  # doctest: +SKIP
    >>> list(corpus.sources)  # doctest: +SKIP
    ['matplotlib', 'numpy', 'python topics', 'stdlib', 'torch']
    """
    folders, made_from = cache_folders(), _fingerprint()
    for folder in folders:
        corpus = load(folder / FILE, made_from)
        if corpus is not None:
            return corpus
    documents = read_documentation()
    corpus = Corpus(documents, near_copy_groups([d.text for d in documents]))
    save(folders, made_from, corpus)
    return corpus


def read_documentation() -> list[Document]:
    """Read the documentation that came with this Python, with progress bars."""
    texts: dict[str, tuple[str, str]] = {}
    for source in (TOPICS, "stdlib", *PACKAGES):
        found = help_topics().items() if source == TOPICS else read_docstrings(source)
        for name, text in found:
            if len(text) >= max(MIN_CHARACTERS, len(texts.get(name, ("", ""))[1])):
                texts[name] = source, text
    unique: dict[str, tuple[str, str]] = {}
    for name, (source, text) in sorted(texts.items(), key=lambda t: (t[1][0], t[0])):
        unique.setdefault(text, (source, name))
    links = Links(name for _, name in unique.values())
    return [
        Document(source, name, text, links(name, text))
        for text, (source, name) in unique.items()
    ]


def help_topics() -> dict[str, str]:
    """Return the topics of `help("topics")` by name; none if Python came without.

    >>> "topics.assert" in help_topics()
    True
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return {}
    return {f"topics.{name}": clean(text) for name, text in topics.items()}


def cache_folders() -> list[Path]:
    """Return the folders in which a corpus may be kept, the best first.

    None, with a warning, if the user has no home folder: no `HOME` and no entry of the
    user's number, as in some containers.
    """
    named = os.environ.get("GPTCOURSE_CACHE")
    try:
        kept = Path(named).expanduser() if named else user_cache_path("gptcourse")
    except RuntimeError:
        warnings.warn(
            "no home folder in which to keep the corpus: it will be read again next"
            " time; name a folder in GPTCOURSE_CACHE",
            stacklevel=3,
        )
        return []
    user = os.getuid() if hasattr(os, "getuid") else "user"
    spare = Path(tempfile.gettempdir(), f"gptcourse-{user}")
    return [kept, spare] if _is_own(spare, user) else [kept]


def _is_own(folder: Path, user: int | str) -> bool:
    """Tell whether a folder is the user's alone, or still to be made."""
    try:
        status = folder.lstat()
    except OSError:
        return True
    private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    return user == "user" or (private and status.st_uid == user)


def load(path: Path, made_from: dict[str, str]) -> Corpus | None:
    """Read a saved corpus; None if it is missing, damaged or made from other things."""
    try:
        header, *lines = gzip.decompress(path.read_bytes()).splitlines()
        if json.loads(header) != made_from:
            return None
        rows = [json.loads(line) for line in lines]
        documents = [Document(*texts, tuple(links)) for *texts, links, _ in rows]
        return Corpus(documents, [row[-1] for row in rows])
    except (OSError, EOFError, ValueError, TypeError, RecursionError, zlib.error):
        return None


def save(folders: list[Path], made_from: dict[str, str], corpus: Corpus) -> None:
    """Write a corpus into the first folder that takes it, whole or not at all.

    gzip keeps a checksum, so that a file that was damaged later is not read again.
    """
    rows = [
        [d.source, d.name, d.text, d.links, group]
        for d, group in zip(corpus.documents, corpus.groups, strict=True)
    ]
    data = "\n".join(map(json.dumps, [made_from, *rows])).encode()
    data = gzip.compress(data, compresslevel=6, mtime=0)
    problems = []
    for folder, mode in zip(folders, (0o777, 0o700), strict=False):
        try:
            folder.mkdir(mode, parents=True, exist_ok=True)
            with whole_file(folder / FILE) as beside:
                beside.write_bytes(data)
            return
        except OSError as error:
            problems.append(f"{folder} ({error.strerror or error})")
            _log.info("cannot keep the corpus in %s", problems[-1])
    if problems:
        warnings.warn(
            f"cannot keep the corpus in {problems[0]}: it will be read again next time;"
            " free or change the folder, or name another in GPTCOURSE_CACHE",
            stacklevel=3,
        )


def _fingerprint() -> dict[str, str]:
    """Say what the corpus is read from, and by which code: other values, other text."""
    code = b"".join(Path(__file__).with_name(name).read_bytes() for name in _READERS)
    return {
        "python": f"{platform.python_version()} {sys.platform}",
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "reader": hashlib.sha256(code).hexdigest(),
    }
