import html
import inspect
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nbval.plugin import get_sanitize_patterns

from gptcourse.lesson import papers, results

CFG = Path(__file__).parents[1].joinpath("nbval_sanitize.cfg").read_text("ascii")
PATTERNS = get_sanitize_patterns(CFG)
FORMS = [
    3.4142, 10.25, 0, 1, -0.5, 1e-5, 1.2e-300, 12345, 1234567, 123456789012.0,
    99.96, 9.996, float("inf"), float("-inf"), float("nan"), np.float32(0.1),
]  # fmt: skip


def masked(text):
    """What nbval compares: the text with every pattern replaced, as it does it."""
    for regex, replace in PATTERNS:
        text = re.sub(regex, replace, text)
    return text


def printed(capsys, call, *args, **keywords):
    capsys.readouterr()
    call(*args, **keywords)
    return capsys.readouterr().out


def shown(monkeypatch, call, *args):
    """What `call` displays, by MIME type."""
    bundles = []
    monkeypatch.setattr(
        results,
        "display",
        lambda one: bundles.append(
            {"text/plain": repr(one), "text/html": one._repr_html_()}
        ),
    )
    call(*args)
    [bundle] = bundles
    return bundle


def test_the_sanitiser_file_is_ascii_so_that_every_locale_reads_it():
    assert CFG.isascii()
    assert len(PATTERNS) == 3


@pytest.mark.parametrize("value", FORMS)
def test_measured_numbers_of_every_form_compare_equal(capsys, value):
    one = printed(capsys, results.measured, "validation loss", value, "nats/token")
    other = printed(capsys, results.measured, "validation loss", 3.41, "nats/token")
    assert masked(one) == masked(other) == "validation loss (measured) nats/token\n"


@pytest.mark.parametrize("value", FORMS)
def test_measured_numbers_compare_equal_in_html_cells(monkeypatch, value):
    def table(number):
        rows = [("a <b>", results.approx(number), 7)]
        return shown(monkeypatch, results.table, rows, ["what", "here", "tokens"])

    one, other = table(value), table(3.41)
    for kind in ("text/plain", "text/html"):
        assert masked(one[kind]) == masked(other[kind])


@pytest.mark.parametrize(
    "changed",
    ["loss ≈ 3.41 nats/byte", "lose ≈ 3.41 nats/token", "loss 3.41 nats/token",
     "loss ≈ 3.41 nats/token, 5", "loss ≈ nats/token", "loss ≈ 3.4.1 nats/token"],
)  # fmt: skip
def test_another_unit_name_mark_or_exact_number_is_a_difference(changed):
    assert masked(changed) != masked("loss ≈ 3.41 nats/token")


def test_exact_numbers_beside_a_measured_one_are_compared():
    assert masked("≈ 3.41 of 5,000") == masked("≈ 13.4 of 5,000")
    assert masked("≈ 3.41 of 5,000") != masked("≈ 3.41 of 5,001")
    assert masked("≈ 3, then 4") == "(measured), then 4"


@settings(max_examples=60, deadline=None)
@given(st.floats(), st.integers(1, 6))
def test_every_float_is_masked_whole(value, digits):
    assert masked(results.approx(value, digits)) == "(measured)"


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e8, 1e8).filter(lambda x: abs(x) > 1e-4), st.integers(1, 6))
def test_a_number_is_rounded_to_the_digits_asked_for(value, digits):
    text = results.approx(value, digits).removeprefix("≈ ").replace(",", "")
    assert float(text) == float(f"{value:.{digits - 1}e}")


def test_rounding_up_to_a_new_decade_keeps_the_digits():
    assert results.approx(9.996) == "≈ 10.0"
    assert results.approx(0.09996) == "≈ 0.100"


def test_tensors_and_arrays_of_one_element_are_numbers(capsys):
    for value in (torch.tensor(2.5), torch.tensor([2.5]), np.array(2.5)):
        assert printed(capsys, results.measured, "x", value) == "x ≈ 2.50\n"


def test_zero_digits_are_refused():
    with pytest.raises(ValueError, match="digits is 0: a number needs at least 1"):
        results.approx(1.0, digits=0)


def test_a_claim_that_holds_is_printed_and_compared_strictly(capsys):
    out = printed(capsys, results.claim, "The loss falls", torch.tensor(3.0) > 2)
    assert out == masked(out) == "✓ The loss falls\n"


@pytest.mark.parametrize("holds", [False, np.bool_(0), torch.tensor([False])])
def test_a_claim_that_does_not_hold_raises(holds):
    with pytest.raises(AssertionError, match="claim does not hold: The loss falls"):
        results.claim("The loss falls", holds)


@pytest.mark.parametrize("holds", [0.3, 1, torch.tensor(0.3), "yes", None])
def test_a_claim_needs_a_truth_value(holds):
    with pytest.raises(TypeError, match="a claim needs True or False"):
        results.claim("The gap is positive", holds)


ODD = "a\rb\x0c\u2028c\x1b[31m\u202e\ud800\x00│ x"


@pytest.mark.parametrize(
    "text", ["", "\n", "one", "one\ntwo\n\nthree", "x" * 500, ODD, "≈ 3", "\n\n\n"]
)
def test_samples_of_any_text_and_length_compare_equal(capsys, text):
    one = printed(capsys, results.sample, text, "greedy")
    other = printed(capsys, results.sample, "to be", "greedy")
    assert masked(one) == masked(other) == "greedy:\n(sample)\n"


@settings(max_examples=80, deadline=None)
@given(st.text())
def test_every_generated_text_is_masked_whole(text):
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lines.append)
        results.sample(text)
    out = "\n".join(lines)
    out.encode("utf-8")
    assert masked(out) == "sample:\n(sample)"
    assert out.splitlines() == out.split("\n")


def test_the_presence_and_the_title_of_a_sample_are_compared(capsys):
    one = printed(capsys, results.sample, "to be", "greedy")
    assert masked(one) != masked(printed(capsys, results.sample, "to be", "top-k"))
    assert masked(one) != masked("greedy:\n")
    assert masked(one * 2) != masked(one)


def test_hidden_characters_of_a_sample_are_made_visible(capsys):
    out = printed(capsys, results.sample, ODD + "\n\tcafé 語 👩\u200d🔬")
    assert r"a\rb\x0c\u2028c\x1b[31m\u202e\ud800\x00│ x" in out
    assert "│     café 語 👩\u200d🔬" in out


def test_long_lines_of_a_sample_are_wrapped_and_nothing_is_lost(capsys):
    text = "word " * 60
    lines = printed(capsys, results.sample, text).splitlines()[1:]
    assert max(map(len, lines)) <= 88
    assert " ".join(line[2:] for line in lines).split() == text.split()


def test_the_seed_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("GPTCOURSE_SEED", raising=False)
    assert results.seed() == 0
    monkeypatch.setenv("GPTCOURSE_SEED", "3")
    assert results.seed() == 3


@pytest.mark.parametrize("text", ["", "-1", "1.5", "one"])
def test_a_seed_that_is_no_whole_number_is_refused(monkeypatch, text):
    monkeypatch.setenv("GPTCOURSE_SEED", text)
    with pytest.raises(ValueError, match="GPTCOURSE_SEED is .*: set it to a whole"):
        results.seed()


def test_generators_differ_by_offset_and_by_seed(monkeypatch):
    def draw(seed, offset):
        monkeypatch.setenv("GPTCOURSE_SEED", str(seed))
        return torch.rand(1, generator=results.generator(offset)).item()

    draws = {(seed, offset): draw(seed, offset) for seed in (0, 1) for offset in (0, 1)}
    assert len(set(draws.values())) == 4
    assert draw(1, 0) == draws[1, 0]


def test_a_table_shows_text_numbers_and_facts_and_escapes_html(monkeypatch):
    fact = papers.fact("gpt2.t3.lambada_accuracy.xl")
    rows = [("<i>", 5000, fact)]
    bundle = shown(monkeypatch, results.table, rows, ["a", "b", "c & d"])
    assert bundle["text/plain"].splitlines() == [
        "a | b | c & d",
        "<i> | 5,000 | 63.24 % accuracy (GPT-2, T3)",
    ]
    assert "&lt;i&gt;" in bundle["text/html"]
    assert "c &amp; d" in bundle["text/html"]


def test_a_bare_float_in_a_table_is_refused():
    with pytest.raises(TypeError, match="is a bare float: use approx"):
        results.table([(0.5,)], ["a"])


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="row 1 has 1 cells, the table 2 columns"):
        results.table([("a", "b"), ("c",)], ["x", "y"])


def test_paper_and_here_shows_figures_places_and_reason(monkeypatch):
    full, none = papers.fact("gpt1.t5.full"), papers.fact("gpt1.t5.no_pretraining")
    rows = [("pre-training", (none, full), results.approx(71.2), "smaller")]
    bundle = shown(monkeypatch, results.paper_and_here, rows)
    line = bundle["text/plain"].splitlines()[1]
    assert line == (
        "pre-training | 59.9 points / 74.7 points | GPT-1, T5 | ≈ 71.2 | smaller"
    )


def awkward():
    """```python, <b>, "quotes" & more."""


@pytest.mark.parametrize("obj", [results.claim, results.Shown, results, awkward])
def test_source_shows_exactly_the_code_as_text_and_as_html(monkeypatch, obj):
    bundle = shown(monkeypatch, results.source, obj)
    assert bundle["text/plain"] == inspect.getsource(obj).rstrip()
    where, code = bundle["text/html"].split("\n", 1)
    name = "results" if obj is results else obj.__name__
    assert re.fullmatch(rf"<code>[\w.]*\b{name}</code>", where)
    assert html.unescape(re.sub("<[^>]*>", "", code)).rstrip() == bundle["text/plain"]


def test_source_is_monospaced_and_readable_on_a_page_without_a_style(monkeypatch):
    page = shown(monkeypatch, results.source, results.table)["text/html"]
    look = re.search('<pre style="([^"]*)"', page)[1]
    assert "font-family:monospace" in look
    assert "class=" not in re.sub('<div class="highlight"', "", page)
    paper = luminance(re.search("background:(#\\w+)", look)[1])
    for ink in {*re.findall("color: ?(#[0-9A-F]{6})", page), "#000000"}:
        assert (paper + 0.05) / (luminance(ink) + 0.05) >= 4.5, ink


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("spread", [8.06, 0, 1e-7, 12345.6, math.nan, math.inf])
def test_a_spread_is_masked_with_its_number_and_its_presence_is_compared(
    capsys, spread
):
    one = printed(capsys, results.measured, "right", 76.49, "%", spread=spread)
    other = printed(capsys, results.measured, "right", 3, "%", spread=0.5)
    alone = printed(capsys, results.measured, "right", 3, "%")
    assert masked(one) == masked(other) == "right (measured)(spread) %\n"
    assert one.count("≈") == 1
    assert masked(alone) != masked(one)


def test_a_spread_is_masked_in_html_too(monkeypatch):
    def table(*both):
        rows = [(results.approx(both[0], spread=both[1]), 5000)]
        return shown(monkeypatch, results.table, rows, ["score", "of"])

    one, other = table(76.49, 8.06), table(-1e-9, 1234.5)
    for kind, text in one.items():
        assert masked(text) == masked(other[kind])
        assert "5,000" in masked(text)
    assert masked("≈&nbsp;1 ±&nbsp;2") == masked("≈ 3 ± 4") != masked("≈ 3 4")


def test_a_number_after_a_sign_alone_is_exact():
    assert masked("5 ± 1") == "5 ± 1"
    assert masked("≈ 3 of 5 ± 1") != masked("≈ 3 of 5 ± 2")


def test_a_spread_reads_as_in_a_paper_and_is_not_below_zero():
    assert results.approx(76.49, spread=8.06) == "≈ 76.5 ± 8.1"
    assert results.approx(0.5, 2, torch.tensor(0.0123)) == "≈ 0.50 ± 0.012"
    with pytest.raises(ValueError, match="the spread is -1: it cannot be below 0"):
        results.approx(3, spread=-1)


def test_a_table_sets_neither_ink_nor_paper_so_that_the_readers_theme_does(monkeypatch):
    bundle = shown(monkeypatch, results.table, [("a", 1)], ["x", "y"])
    assert not re.search("color|background", bundle["text/html"])
