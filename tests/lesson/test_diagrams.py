"""Diagrams: what is drawn, and what is refused."""

import pytest

from gptcourse.lesson import diagrams, style

PLACES = {"model": (0.15, 0.5, 1), "text": (0.5, 0.5, 0), "reward": (0.85, 0.5, 0)}
ARROWS = [("model", "text", "writes"), ("text", "reward", "")]


def test_boxes_and_words_are_drawn_where_they_belong():
    figure = diagrams.boxes(PLACES, ARROWS, title="A machine")
    texts = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    assert texts["model"] == (0.15, 0.5)
    assert texts["writes"] == pytest.approx((0.325, 0.5))


def test_arrows_run_from_box_to_box():
    figure = diagrams.boxes(PLACES, ARROWS, title="A machine")
    arrows = [t.arrow_patch for t in figure.axes[0].texts if hasattr(t, "arrow_patch")]
    assert len([arrow for arrow in arrows if arrow is not None]) == len(ARROWS)


def test_nothing_is_cut_off():
    figure = diagrams.boxes(PLACES, ARROWS, title="A machine")
    assert style.cut_off(figure) == []


def test_an_arrow_to_nowhere_is_refused():
    with pytest.raises(ValueError, match="^an arrow names 'value', but no box has"):
        diagrams.boxes(PLACES, [("model", "value", "")], title="A machine")


@pytest.mark.parametrize("place", [(1.1, 0.5, 0), (0.5, -0.1, 0), (0.5, 0.5, 2)])
def test_a_place_outside_the_picture_is_refused(place):
    with pytest.raises(ValueError, match="^box 'model' is at .* need a place"):
        diagrams.boxes({"model": place}, [], title="A machine")
