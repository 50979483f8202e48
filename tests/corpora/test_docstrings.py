"""Docstrings read from files, against what Python itself shows after an import."""

import ast
import importlib
import inspect
import pydoc
import re

import pytest

from gptcourse.corpora import docstrings
from gptcourse.corpora.docstrings import static_constants, static_string
from gptcourse.corpora.links import attach

# Enough files to follow the public names below to where they are defined.
FILES = {
    "stdlib": {"json", "json.decoder", "textwrap", "collections.abc", "asyncio.tasks"}
    | {"asyncio", "_collections_abc"},
    "numpy": {"numpy", "numpy._core", "numpy._core.fromnumeric", "numpy._core.numeric"}
    | {"numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars"}
    | {"numpy._core.multiarray", "numpy.linalg", "numpy.linalg._linalg"},
    "matplotlib": {"matplotlib.axes", "matplotlib.axes._axes", "matplotlib"},
    "torch": {"torch", "torch._torch_docs", "torch._tensor_docs", "torch.special"}
    | {"torch._C._VariableFunctions", "torch.nn", "torch.nn.modules"}
    | {"torch.nn.modules.linear", "torch.nn.modules.conv"},
}

documentation = importlib.import_module("gptcourse.corpora.python_docs")


@pytest.fixture(scope="module")
def texts():
    found = {}
    for source, wanted in FILES.items():
        constants = docstrings.shared_constants(source)
        modules = {}
        for name, path in docstrings.source_files(source):
            if name in wanted:
                module = docstrings.read_module(name, path, constants)
                modules.setdefault(name, docstrings.Module(name)).merge(module)
        attach(modules)
        found |= documentation._name_texts(modules)[0]
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
        "torch.nn.Linear",
        "torch.abs",
        "torch.matmul",
        "torch.Tensor.add_",
        "torch.special.erf",
    ],
)
def test_a_text_is_what_help_shows_after_an_import(texts, name):
    thing = pydoc.locate(name)
    assert thing is not None
    shown = docstrings.clean(inspect.getdoc(thing))
    assert "".join(texts[name].split()) == "".join(shown.split())


def test_gaps_filled_from_another_file_vanish_with_their_line(texts):
    text = texts["torch.nn.Conv2d"]
    assert "Applies a 2D convolution" in text
    assert not re.search(r"^\s*\{\w+\}$", text, re.MULTILINE)


def test_help_topics_are_those_of_pydoc():
    topics = importlib.import_module("pydoc_data.topics").topics
    assert documentation.help_topics().keys() == topics.keys()


def test_related_topics_are_those_that_help_names():
    helper = pydoc.Helper
    topic, related = helper.keywords["with"]
    expected = set()
    for name in related.split():
        entry = helper.topics.get(name) or helper.keywords[name]
        while isinstance(entry, str):
            entry = helper.topics.get(entry) or helper.keywords[entry]
        expected.add(entry[0])
    assert expected <= documentation.related_topics()[topic]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'a' + 'b'", "ab"),
        ("f'a {known} {other}'", "a K "),
        ("'{x} {{y}}'.format(x='1')", "1 {y}"),
        ("'a\\n  {gone}\\nb'.format(**nothing)", "a\nb"),
        ("'{x}'.format(**table)", "in table"),
        ("inspect.cleandoc('a')", "a"),
        ("3", None),
        ("'a' + function()", None),
        ("'%s' % x", None),
    ],
)
def test_a_string_is_worked_out_without_running_it(expression, text):
    constants = {"known": "K", "table": {"x": "in table"}}
    node = ast.parse(expression, mode="eval").body
    assert static_string(node, constants) == text


def test_constants_are_read_through_the_helpers_of_torch():
    tree = ast.parse(
        "a = parse_kwargs('''\n    dim (int): the axis,\n        or axes.\n''')\n"
        "b = merge_dicts(a, {'k': 'v'})"
    )
    found = static_constants(tree, {})["b"]
    assert found == {"dim": "dim (int): the axis,\n        or axes.", "k": "v"}


def test_a_signature_for_programs_is_no_documentation():
    assert docstrings.clean("copy($self, /)\n--\n\nCopy it.") == "Copy it."


def test_a_lone_surrogate_becomes_a_question_mark():
    assert docstrings.clean("bad \ud800 half") == "bad ? half"


def test_a_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match="no package 'no_such_package'"):
        docstrings.package_root("no_such_package")


def test_tests_and_copies_of_other_projects_are_not_read():
    modules = {name for name, _ in docstrings.source_files("stdlib")}
    assert "json.decoder" in modules
    assert not any(
        name.startswith(("test.", "idlelib.", "lib2to3.")) for name in modules
    )
