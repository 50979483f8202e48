"""A corpus kept on disk: compressed JSON lines, checked before they are used.

Python's own documentation, read from files, named, freed of copies and linked.

Real text for the course: Python's own documentation, and the field's downloads.
"""

import ast
import gzip
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from gptcourse.common import bar
from gptcourse.corpora.corpus import Corpus, Document
from gptcourse.corpora.docstrings import (
    PACKAGES,
    Module,
    clean,
    package_root,
    read_module,
    shared_constants,
    source_files,
)
from gptcourse.corpora.links import LinkResolver, attach, public_names
from gptcourse.corpora.near_copies import near_copy_groups

FORMAT = "gptcourse corpus 1"


def cache_folder() -> Path:
    """Return the folder for what can be made again; `GPTCOURSE_CACHE` overrides it."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("GPTCOURSE_CACHE") or user_cache_dir("gptcourse"))


def load(path: Path, fingerprint: dict[str, str]) -> Corpus | None:
    """Read a saved corpus; None if it is missing, damaged or made from other things.

    The first line is a header: format, fingerprint, and the SHA-256 of the rest.
    """
    try:
        first, _, body = gzip.decompress(path.read_bytes()).partition(b"\n")
        header = json.loads(first)
        if header != _header(fingerprint, body):
            return None
        rows = [json.loads(line) for line in body.splitlines()]
        documents = [
            Document(source, name, text, tuple(links))
            for source, name, text, links, _ in rows
        ]
        return Corpus(documents, [row[-1] for row in rows])
    except (OSError, EOFError, ValueError, TypeError, zlib.error):
        return None


def save(path: Path, fingerprint: dict[str, str], corpus: Corpus) -> None:
    """Write a corpus, whole or not at all; warn in one line if it cannot be written."""
    rows = [
        json.dumps([d.source, d.name, d.text, d.links, group])
        for d, group in zip(corpus.documents, corpus.groups, strict=True)
    ]
    body = "\n".join(rows).encode()
    header = json.dumps(_header(fingerprint, body)).encode()
    data = gzip.compress(header + b"\n" + body, compresslevel=6, mtime=0)
    try:
        _replace(path, data)
    except OSError as error:
        warnings.warn(
            f"cannot keep the corpus in {path.parent} ({error.strerror or error});"
            " it will be read again next time: free or change the folder, or name"
            " another in GPTCOURSE_CACHE",
            stacklevel=3,
        )


def _header(fingerprint: dict[str, str], body: bytes) -> dict:
    checksum = hashlib.sha256(body).hexdigest()
    return {"format": FORMAT, "fingerprint": fingerprint, "sha256": checksum}


def _replace(path: Path, data: bytes) -> None:
    """Write to a file beside `path` first, so that `path` is never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


TOPICS = "python topics"
SOURCES = ("stdlib", *PACKAGES)
# Below this, a docstring is mostly a signature, or "Return the x of y.".
MIN_CHARACTERS = 60


def read_documentation() -> list[Document]:
    """Read all documentation that came with this Python, with a progress bar.

    The help topics and the docstrings of the standard library, numpy, matplotlib and
    torch; ordered by source, then name; no two with the same text.
    """
    texts = [(TOPICS, f"topics.{name}", text) for name, text in help_topics().items()]
    known_as: dict[str, str] = {}
    for source, modules in _read_packages():
        found, names = _name_texts(modules)
        texts += [(source, name, text) for name, text in found.items()]
        known_as |= names
    unique: dict[str, tuple[str, str]] = {}
    kept: dict[str, str] = {}
    for source, name, text in sorted(texts):
        kept[name] = unique.setdefault(text, (source, name))[1]
    kept |= {old: kept[new] for old, new in known_as.items() if new in kept}
    return _link(unique, kept)


def _read_packages() -> Iterator[tuple[str, dict[str, Module]]]:
    """Yield every source and what its files say, by module."""
    files = {source: source_files(source) for source in SOURCES}
    total = sum(map(len, files.values()))
    with bar(total=total, desc="reading documentation", unit="file") as progress:
        for source in SOURCES:
            constants = shared_constants(source)
            modules: dict[str, Module] = {}
            for name, path in files[source]:
                module = read_module(name, path, constants)
                if module is not None:
                    modules.setdefault(name, Module(name)).merge(module)
                progress.update()
            attach(modules)
            yield source, modules


def _name_texts(modules: dict[str, Module]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the cleaned texts by public name, and full names to public ones."""
    names = public_names(modules)
    texts: dict[str, str] = {}
    for module in modules.values():
        for inner, text in module.docs.items():
            public = names[f"{module.name}.{inner}" if inner else module.name]
            text = clean(text)
            if len(text) >= max(MIN_CHARACTERS, len(texts.get(public, ""))):
                texts[public] = text
    return texts, names


def _link(unique: dict[str, tuple[str, str]], names: dict[str, str]) -> list[Document]:
    """Turn texts into documents with links; `names` lists what each is known as."""
    resolver = LinkResolver(names)
    related = related_topics()
    documents = []
    for text, (source, name) in unique.items():
        if source == TOPICS:
            near = related.get(name.removeprefix("topics."), ())
            found = {names.get(f"topics.{topic}") for topic in near}
            links = tuple(sorted(found - {None, name}))
        else:
            links = resolver.links(text, name)
        documents.append(Document(source, name, text, links))
    return documents


def help_topics() -> dict[str, str]:
    """Return the topics of `help("topics")` by name; none if Python came without.

    >>> "assert" in help_topics()
    True
    """
    path = package_root("stdlib") / "pydoc_data" / "topics.py"
    if not path.exists():
        return {}
    topics = _assigned(ast.parse(path.read_bytes()), "topics")
    return {name: clean(text) for name, text in topics.items()}


def related_topics() -> dict[str, set[str]]:
    """Return the topics that `help` names as related to each topic.

    >>> "break" in related_topics()["while"]
    True
    """
    tree = ast.parse((package_root("stdlib") / "pydoc.py").read_bytes())
    entries = _assigned(tree, "keywords") | _assigned(tree, "topics")
    related: dict[str, set[str]] = {}
    for name in entries:
        topic, near = _entry(entries, name)
        found = {_entry(entries, other)[0] for other in near.split()}
        related.setdefault(topic, set()).update(found - {topic})
    return related


def _entry(entries: dict, name: str) -> tuple[str, str]:
    """Look up ("topic", "NAMES OF RELATED"); an entry may name another instead."""
    for _ in range(len(entries)):
        entry = entries.get(name, (name, ""))
        if not isinstance(entry, str):
            return entry
        name = entry
    return name, ""


def _assigned(tree: ast.Module, name: str) -> dict:
    """Return the literal that a file, or a class in it, assigns to `name`."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(id=target)], ast.Dict()) if target == name:
                return ast.literal_eval(node.value)
    return {}


#: the files whose code decides what the corpus holds
_READERS = ("docstrings", "links", "near_copies", "python_docs")


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
    path = cache_folder() / "python_docs.jsonl.gz"
    fingerprint = _fingerprint()
    corpus = load(path, fingerprint)
    if corpus is None:
        documents = read_documentation()
        groups = near_copy_groups([d.text for d in documents])
        corpus = Corpus(documents, groups)
        save(path, fingerprint, corpus)
    return corpus


def _fingerprint() -> dict[str, str]:
    """Say what the corpus is read from, and by which code: other values, other text."""
    code = hashlib.sha256()
    for name in _READERS:
        code.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "python": f"{platform.python_version()} {sys.platform}",
        **versions,
        "reader": code.hexdigest(),
    }
