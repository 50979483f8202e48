"""Links between documents."""

import pytest

from gptcourse.corpora.links import Links, mentions

NAMES = [
    "numpy.mean",
    "numpy.linalg.inv",
    "numpy.linalg.norm",
    "torch.Tensor.abs",
    "torch.nn.Linear",
    "matplotlib.figure.Figure",
    "copy",
    "topics.try",
    "topics.while",
]


@pytest.mark.parametrize(
    ("target", "place", "found"),
    [
        (":func:`inv`", "numpy.linalg.norm", "numpy.linalg.inv"),
        ("`linalg.inv`", "numpy.mean", "numpy.linalg.inv"),
        ("`numpy.mean`", "torch.nn.Linear", "numpy.mean"),
        ("`~torch.nn.Linear`", "numpy.mean", "torch.nn.Linear"),
        ("``Tensor.abs()``", "torch.nn.Linear", "torch.Tensor.abs"),
        ("`.Figure`", "matplotlib.axes.Axes", "matplotlib.figure.Figure"),
        ("`.Figure`", "torch.nn.Linear", None),
        (":func:`copy`", "numpy.mean", None),
        ("`missing.name`", "numpy.mean", None),
        ('"try"', "topics.while", "topics.try"),
        ('"try"', "numpy.mean", None),
    ],
)
def test_a_name_is_found_from_where_it_is_written(target, place, found):
    expected = () if found is None else (found,)
    assert Links(NAMES)(place, f"See {target}.") == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":func:`numpy.mean` and :py:meth:`~a.b`", ["numpy.mean", "a.b"]),
        (":attr:`input`, :math:`x`, :ref:`label`", []),
        (":attr:`Tensor.grad`", ["Tensor.grad"]),
        ("``a.b()``, `.Figure` and `x`", ["a.b", ".Figure"]),
        ("a.b without marks", []),
    ],
)
def test_only_marked_names_count_as_links(text, found):
    assert list(mentions("numpy.mean", text)) == found


def test_a_see_also_section_ends_where_the_next_begins():
    text = (
        "See Also\n--------\nmean, std : Average\n    and more, words.\n"
        "`.Axes.plot`\n\nNotes\n-----\nother\n"
    )
    found = Links(["a.mean", "a.std", "a.more", "a.other"])("a.f", text)
    assert found == ("a.mean", "a.std")


def test_a_document_does_not_link_to_itself():
    text = "Like :func:`mean` but :func:`linalg.inv`."
    assert Links(NAMES)("numpy.mean", text) == ("numpy.linalg.inv",)
