"""The form of a notebook: its sizes, its stored outputs, its links, its code.

A rule takes a notebook and returns its faults, one line each. Words are counted in
prose: a table's rows, code fences, the targets of links and the tags of HTML are left
out, and a formula is one word. Lines of code are those that are not blank.
"""

import ast
import json
import re
from pathlib import Path
from statistics import median
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
IMPORT_LINES = 10
MEDIAN_LINES = 12
CELL_LINES = 30
COLUMNS = 88
WORDS = 150
CELLS = 90
OUTPUT_BYTES = 600_000
TAGS = {"solution", "check", "hide-input", "experiment"}
RESHAPES = {"view", "reshape", "transpose", "permute", "swapaxes", "movedim"}
SILENCERS = re.compile(
    r"NBVAL|PYTEST_VALIDATE|^\s*%|^\s*!|clear_output|filterwarnings|simplefilter"
    r"|capture_output|redirect_std",
    re.MULTILINE,
)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
IMAGE_TAG = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
IMPORTS = (ast.Import, ast.ImportFrom)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def tree(cell):
    """The syntax tree of a cell; an empty one for a magic, which `compared` refuses."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.Module([], [])


def headings(notebook):
    found = []
    for text in texts(notebook):
        found += re.findall(r"^#+\s+(.+?)\s*$", without_fences(text), re.MULTILINE)
    return found


def without_fences(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def prose_words(text):
    text = FORMULA.sub(" formula ", without_fences(text))
    text = LINK.sub(r"\2", text)
    text = re.sub(r"<[^>]+>", "", text)
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("|")]
    return [word for word in " ".join(kept).split() if any(map(str.isalnum, word))]


def imports(notebook):
    """One cell of imports, the first, of at most 10 lines."""
    first, *others = code_cells(notebook)
    faults = []
    if not all(isinstance(node, IMPORTS) for node in tree(first).body):
        faults.append("the first code cell does more than import")
    if len(lines(first)) > IMPORT_LINES:
        faults.append(
            f"imports take {len(lines(first))} lines, more than {IMPORT_LINES}"
        )
    for cell in others:
        if any(isinstance(node, IMPORTS) for node in ast.walk(tree(cell))):
            faults.append(f"imports outside the first code cell: {lines(cell)[0]!r}")
    return faults


def sizes(notebook):
    """Cells a reader can take in, and a file a browser opens at once."""
    faults = []
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    if median(lengths) > MEDIAN_LINES:
        faults.append(f"the median code cell has {median(lengths)} lines")
    for cell, length in zip(code_cells(notebook), lengths, strict=True):
        if length > CELL_LINES:
            faults.append(f"{length} lines in the cell {lines(cell)[0]!r}")
        wide = [line for line in lines(cell) if len(line) > COLUMNS]
        faults += [f"a line of {len(line)} columns: {line[:50]!r}" for line in wide]
    for text in texts(notebook):
        if len(prose_words(text)) > WORDS:
            faults.append(f"{len(prose_words(text))} words in the cell {text[:50]!r}")
    if len(notebook.cells) > CELLS:
        faults.append(f"{len(notebook.cells)} cells, more than {CELLS}")
    stored = sum(len(json.dumps(output)) for output in outputs(notebook))
    if stored > OUTPUT_BYTES:
        faults.append(f"stored outputs take {stored:,} bytes")
    return faults


def executed(notebook):
    """Run from top to bottom, without an error and without a word on stderr."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    faults = []
    if counts != list(range(1, len(counts) + 1)):
        faults.append(f"not executed in order: {counts[:10]}")
    for output in outputs(notebook):
        if output.output_type == "error":
            faults.append(f"a stored error: {output.ename}")
        if output.get("name") == "stderr":
            faults.append(f"stored stderr: {output.text[:60]!r}")
    return faults


def compared(notebook):
    """Nothing that keeps a cell or an output from being compared."""
    faults = []
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", [])) - TAGS
        if tags:
            faults.append(f"a cell has the tags {sorted(tags)}")
        found = SILENCERS.search(cell.source) if cell.cell_type == "code" else None
        if found:
            faults.append(f"a cell silences or steers its output: {found[0].strip()!r}")
    return faults


def pictures(notebook):
    """Every picture has an alternative text."""
    faults, html = [], texts(notebook)
    for output in outputs(notebook):
        for kind, data in output.get("data", {}).items():
            alt = output.metadata.get(kind, {}).get("alt", "")
            if kind.startswith("image/") and not alt.strip():
                faults.append(f"an {kind} has no alternative text: use figures.show")
            if kind in ("text/html", "text/markdown"):
                html.append("".join(data))
    for text in html:
        tags = IMAGE_TAG.findall(text)
        faults += [
            f"no alt in {tag[:60]}"
            for tag in tags
            if not re.search(r"""\balt=["'][^"']""", tag)
        ]
        faults += [
            f"no text for the picture {target}"
            for bang, words, target in LINK.findall(text)
            if bang and not words.strip()
        ]
    return faults


def links(notebook, folder):
    """Links to files and headings resolve, and stay inside the repository."""
    faults = []
    anchors = {heading.replace(" ", "-") for heading in headings(notebook)}
    for text in texts(notebook):
        targets = [target for _, _, target in LINK.findall(without_fences(text))]
        targets += re.findall(r"""(?:href|src)=["']([^"']+)["']""", text)
        for target in targets:
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            if not path and unquote(anchor) not in anchors:
                faults.append(f"no heading for the link #{anchor}")
            where = (folder / unquote(path)).resolve()
            if path and not (where.exists() and where.is_relative_to(ROOT)):
                faults.append(f"no file of the repository for the link {target}")
    return faults


def reshapes(notebook):
    """einops for every reshape a reader sees."""
    return [
        f"{node.func.attr}() in the cell {lines(cell)[0]!r}: use einops"
        for cell in code_cells(notebook)
        for node in ast.walk(tree(cell))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in RESHAPES
    ]
