"""What a reader sees: the core path, the sections "Deeper", the hidden cells.

A rule takes a notebook and returns its faults, one line each. JupyterLab folds a
section by the first heading of each markdown cell, and so do these rules.
"""

import re
import symtable

from form import lines, without_fences

CORE_CELLS = 45
COLLAPSED = "jp-MarkdownHeadingCollapsed"
HEADING = re.compile(r"^(#+)\s+(.+?)\s*$", re.MULTILINE)
FOLDED = {"solution", "hide-input"}


def tags(cell):
    return set(cell.metadata.get("tags", []))


def headings_of(cell):
    """The headings of a cell, as (level, title)."""
    if cell.cell_type != "markdown":
        return []
    found = HEADING.findall(without_fences(cell.source))
    return [(len(marks), title) for marks, title in found]


def within(notebook, beginning):
    """The indexes of all cells in sections whose heading begins so.

    A section ends at the next heading of the same or a higher level.
    """
    inside, level = set(), None
    for index, cell in enumerate(notebook.cells):
        for depth, title in headings_of(cell)[:1]:
            if level is not None and depth <= level:
                level = None
            if level is None and title.startswith(beginning):
                level = depth
        if level is not None:
            inside.add(index)
    return inside


def core(notebook):
    """The indexes of what a lesson reads: neither Deeper nor exercises (homework)."""
    deeper, homework = within(notebook, "Deeper:"), within(notebook, "Exercise")
    return {
        index
        for index, cell in enumerate(notebook.cells)
        if index not in deeper
        and not tags(cell) & {"solution", "check"}
        and not (index in homework and cell.cell_type == "markdown")
    }


def core_path(notebook):
    """A core path that is read and run in 50 minutes."""
    count = len(core(notebook))
    if count > CORE_CELLS:
        return [f"the core path has {count} cells, more than {CORE_CELLS}"]
    return []


def deeper(notebook):
    """A section Deeper is folded, and the core path does without it."""
    faults, inside = [], within(notebook, "Deeper:")
    for index, cell in enumerate(notebook.cells):
        found = headings_of(cell)
        begins = [title for _, title in found if title.startswith("Deeper:")]
        if begins and not HEADING.match(cell.source):
            faults.append(f"the heading {begins[0]!r} does not begin its cell")
        if len(found) > 1 and (begins or index in inside):
            faults.append(f"{found[1][1]!r}: in a section Deeper, one heading a cell")
        folded = cell.metadata.get(COLLAPSED, False)
        if begins and folded is not True:
            faults.append(f"{begins[0]!r} is not folded: set {COLLAPSED}")
        if folded and not begins:
            faults.append(f"folded, but no section Deeper: {cell.source[:50]!r}")
    return faults + [
        f"the core path uses {name}, which a section Deeper makes"
        for name in leaks(notebook, inside, core(notebook))
    ]


def hidden(notebook):
    """A cell hides its source where the figure is what matters, and nowhere else."""
    faults = []
    for index, cell in enumerate(notebook.cells):
        folded = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
        if folded and not tags(cell) & FOLDED:
            faults.append(f"a hidden cell without the tag hide-input: {first(cell)!r}")
        if "hide-input" not in tags(cell):
            continue
        if not folded:
            faults.append(f"hide-input, but source_hidden is not set: {first(cell)!r}")
        if cell.cell_type != "code" or not shows(cell):
            faults.append(f"a hidden cell shows no figure or table: {first(cell)!r}")
        if re.search(r"\bresults\.claim\(|\bchecks\.|^\s*assert\b", cell.source, re.M):
            faults.append(f"a claim or a check is hidden: {first(cell)!r}")
        later = set(range(index + 1, len(notebook.cells)))
        faults += [
            f"a hidden cell makes {name}, which a later cell uses"
            for name in leaks(notebook, {index}, later)
        ]
    return faults


def first(cell):
    return (lines(cell) or [""])[0][:50]


def shows(cell):
    kinds = {output.output_type for output in cell.get("outputs", [])}
    return bool(kinds & {"display_data", "execute_result"})


def headings_followed(notebook):
    """A heading is followed by its own text or code before the next."""
    faults, waiting = [], None
    for cell in notebook.cells:
        text = without_fences(cell.source) if cell.cell_type == "markdown" else ""
        for part in re.split(r"^(?=#+ )", text, flags=re.MULTILINE) if text else ["x"]:
            title, _, rest = part.partition("\n")
            if HEADING.match(part):
                if waiting:
                    faults.append(f"nothing stands under the heading {waiting!r}")
                waiting = None if rest.strip() else title
            elif part.strip():
                waiting = None
    if waiting:
        faults.append(f"nothing stands under the heading {waiting!r}")
    return faults


def leaks(notebook, makers, users):
    """Names that cells of `makers` make and a later one of `users` needs."""
    found = {}
    cells = {
        index: names(cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
    }
    for index in sorted(makers & cells.keys()):
        for name in cells[index][0]:
            for later in sorted(users & cells.keys()):
                made, used = cells[later]
                if later > index and name in made | used:
                    if name not in made:
                        found[name] = True
                    break
    return sorted(found)


def names(cell):
    """The names that a cell makes, and those that it uses, on its outermost level."""
    try:
        table = symtable.symtable(cell.source, "cell", "exec")
    except SyntaxError:  # a magic, which `compared` refuses
        return set(), set()
    made = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    }
    used = {one.get_name() for one in table.get_symbols() if one.is_referenced()}
    nested = table.get_children()
    while nested:
        inner = nested.pop()
        used |= {one.get_name() for one in inner.get_symbols() if one.is_global()}
        nested += inner.get_children()
    return made, used
