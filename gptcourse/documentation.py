"""Python's own documentation, read from files, named, freed of copies and linked."""

import ast
from collections.abc import Iterator

from gptcourse.corpus import Document
from gptcourse.doc_links import LinkResolver
from gptcourse.doc_names import attach, public_names
from gptcourse.docstrings import (
    PACKAGES,
    Module,
    clean,
    package_root,
    read_module,
    shared_constants,
    source_files,
)
from gptcourse.progress import bar

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
