"""Docstrings read from files, against what Python itself shows after an import."""

import inspect
import pydoc
import re

import pytest

from gptcourse.corpora import docstrings
from gptcourse.corpora.docstrings import clean, read_docstrings


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the files of a package, and return what is read from them."""
    monkeypatch.setattr(docstrings, "package_root", lambda package: tmp_path / package)

    def read(files):
        for name, source in files.items():
            path = tmp_path / "pack" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return dict(read_docstrings("pack"))

    return read


def test_modules_classes_and_functions_are_read_and_nothing_runs(package):
    source = (
        "'''A module.'''\nraise SystemError\nclass C:\n    '''A class.'''\n"
        "    async def f(self):\n        '''A method.'''\n        def g():\n"
        "            '''Inside.'''\nif unknown:\n    def h():\n        'Branch.'\n"
        "else:\n    def i():\n        'Else.'\n"
        "try:\n    pass\nexcept Exception:\n    def j():\n        'Except.'\n"
    )
    assert package({"a.py": source}) == {
        "pack.a": "A module.",
        "pack.a.C": "A class.",
        "pack.a.C.f": "A method.",
        "pack.a.h": "Branch.",
        "pack.a.i": "Else.",
        "pack.a.j": "Except.",
    }


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("class C:\n    __doc__ = 'a {gap} ' + 'b'", "C", "a {gap} b"),
        ("class C: pass\nC.__doc__ = f'a\\n{gap}\\nb'", "C", "a\n\nb"),
        ("det = _add_docstr(_C.det, r'a '.format(**args))", "det", "a"),
        ("add_newdoc('m', 'zeros', 'a')", "zeros", "a"),
        ("add_newdoc('m', 'array', ('flat', 'a'))", "array.flat", "a"),
    ],
)
def test_documentation_that_a_statement_attaches_is_read(package, source, name, text):
    assert package({"a.py": source}) == {f"pack.a.{name}": text}


def test_things_are_named_by_the_package_that_shows_them(package):
    files = {
        "__init__.py": (
            "from ._core import mean\nfrom pack.nn import Layer\n"
            "from .other import f as g\ndef late():\n    from .other import late\n"
        ),
        "_core/__init__.py": "from .reduce import *\n",
        "_core/reduce.py": "def mean(): 'Mean.'\ndef _own(): 'Own.'\n",
        "nn/__init__.py": "if TYPE_CHECKING:\n    from .layer import Layer\n",
        "nn/layer.py": "class Layer:\n    'Layer.'\n    def call(self): 'Call.'\n",
        "other.py": "def f(): 'F.'\ndef late(): 'Late.'\n",
        "_hidden/core.py": "def shown(): 'Shown.'\n",
        "api/__init__.py": (
            "from pack._hidden.core import shown\nfrom pack.deep.x.y import z\n"
        ),
        "deep/x/y.py": "def z(): 'Z.'\n",
    }
    assert package(files) == {
        "pack.mean": "Mean.",
        "pack._core.reduce._own": "Own.",
        "pack.Layer": "Layer.",
        "pack.Layer.call": "Call.",
        "pack.other.f": "F.",
        "pack.other.late": "Late.",
        "pack.api.shown": "Shown.",
        "pack.deep.x.y.z": "Z.",
    }


def test_a_broken_file_does_not_stop_the_others(package):
    files = {"a.py": "'''A.''' def", "b.py": "'''B.'''", "c.py": "x = '\0'"}
    assert package(files) == {"pack.b": "B."}


def test_deeply_nested_code_does_not_stop_the_others(package):
    files = {"a.py": "x = " + "(" * 5000, "b.py": "'''B.'''"}
    assert package(files) == {"pack.b": "B."}


@pytest.fixture(scope="module")
def texts():
    found = {}
    for source in ("stdlib", "numpy", "torch"):
        for name, text in read_docstrings(source):
            found[name] = max(found.get(name, ""), text, key=len)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "json.JSONDecoder",
        "json.JSONDecoder.raw_decode",
        "textwrap.dedent",
        "asyncio.gather",
        "collections.abc.Set",
        "numpy.mean",
        "numpy.ndarray",
        "numpy.ndarray.flat",
        "numpy.linalg.norm",
        "numpy.linalg.inv",
        "numpy.char.equal",
        "torch.nn.Linear",
        "torch.abs",
        "torch.matmul",
        "torch.Tensor.add_",
        "torch.special.softmax",
        "torch.vmap",
    ],
)
def test_a_text_is_what_help_shows_after_an_import(texts, name):
    thing = pydoc.locate(name)
    assert thing is not None
    shown = clean(inspect.getdoc(thing))
    assert "".join(texts[name].split()) == "".join(shown.split())


def test_gaps_filled_from_another_file_vanish_with_their_line(texts):
    for name in ("torch.nn.Conv2d", "torch.optim.SGD"):
        assert len(texts[name]) > 2000
        assert not re.search(r"^\s*\{\w+\}$", texts[name], re.MULTILINE)


def test_a_lone_surrogate_becomes_a_question_mark():
    assert clean("bad \ud800 half") == "bad ? half"


def test_a_signature_for_programs_is_no_documentation():
    assert clean("copy($self, /)\n--\n\nCopy it.") == "Copy it."


def test_lines_that_hold_only_a_gap_are_dropped():
    assert clean("Axes.\n%(Axes:kwdoc)s\n    {input}\nEnd {x}.") == "Axes.\nEnd {x}."


def test_a_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match="no package 'no_such_package'"):
        docstrings.package_root("no_such_package")


def test_tests_and_copies_of_other_projects_are_not_read():
    root = docstrings.package_root("stdlib")
    paths = [path.relative_to(root) for path in docstrings.source_files("stdlib")]
    folders = {path.parts[0] for path in paths}
    assert "json" in folders
    assert folders.isdisjoint({"test", "idlelib", "lib2to3", "site-packages"})
