"""Links between documents."""

import pytest

from gptcourse.corpora.links import LinkResolver, mentions

NAMES = [
    "numpy.mean",
    "numpy.linalg.inv",
    "numpy.linalg.norm",
    "torch.Tensor.abs",
    "torch.nn.Linear",
    "matplotlib.figure.Figure",
    "copy",
]


@pytest.fixture
def resolver():
    names = {name: name for name in NAMES}
    return LinkResolver({**names, "torch.nn.modules.linear.Linear": "torch.nn.Linear"})


@pytest.mark.parametrize(
    ("target", "place", "found"),
    [
        ("inv", "numpy.linalg.norm", "numpy.linalg.inv"),
        ("linalg.inv", "numpy.mean", "numpy.linalg.inv"),
        ("np.mean", "torch.nn.Linear", "numpy.mean"),
        ("~torch.nn.Linear", "numpy.mean", "torch.nn.Linear"),
        ("torch.nn.modules.linear.Linear", "torch.abs", "torch.nn.Linear"),
        ("Tensor.abs()", "torch.nn.Linear", "torch.Tensor.abs"),
        (".Figure", "matplotlib.axes.Axes", "matplotlib.figure.Figure"),
        (".Figure", "torch.nn.Linear", None),
        ("copy", "numpy.mean", None),
        ("missing.name", "numpy.mean", None),
        ("", "numpy.mean", None),
    ],
)
def test_a_name_is_found_from_where_it_is_written(resolver, target, place, found):
    assert resolver.resolve(target, place) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":func:`numpy.mean` and :py:meth:`~a.b`", ["numpy.mean", "~a.b"]),
        (":class:`the layer <torch.nn.Linear>`", ["torch.nn.Linear"]),
        (":attr:`input`, :math:`x.y`, :ref:`a.b`", []),
        (":attr:`Tensor.grad`", ["Tensor.grad"]),
        ("``a.b()``, `.Figure` and `x`", ["a.b", ".Figure"]),
        ("a.b without marks", []),
    ],
)
def test_only_marked_names_count_as_links(text, found):
    assert list(mentions(text)) == found


def test_a_see_also_section_ends_where_the_next_begins():
    text = (
        "See Also\n--------\nmean, std : Average\n    and more, words.\n"
        "`.Axes.plot`\n:func:`inv`\n\nNotes\n-----\nother\n"
    )
    listed = list(mentions(text))[2:]  # the marked ones come first
    assert listed == ["mean", "std", ".Axes.plot", "inv"]


def test_a_document_does_not_link_to_itself(resolver):
    assert resolver.links(
        "Like :func:`mean` but :func:`linalg.inv`.", "numpy.mean"
    ) == ("numpy.linalg.inv",)
