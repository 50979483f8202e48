"""A corpus kept on disk: compressed JSON lines, checked before they are used."""

import gzip
import hashlib
import json
import os
import tempfile
import warnings
import zlib
from pathlib import Path

from gptcourse.corpus import Corpus, Document

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
