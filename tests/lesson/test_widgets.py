import re

import ipywidgets
import pytest

from gptcourse.lesson import figures, style, widgets


def panel_of_all_controls():
    def render(**state):
        return " ".join(f"{name}={value!r}" for name, value in state.items())

    return widgets.explore(
        render,
        k=widgets.slider(1, 50, 1, 10, "top k"),
        temperature=widgets.slider(0.0, 2.0, 0.1, 1.0, "temperature"),
        how=widgets.choice(["greedy", "sampled"], "sampled", "how"),
        mask=widgets.toggle(True, "mask"),
        prompt=widgets.text("The", "prompt"),
    )


def bars(n):
    return figures.bars({"n": n}, y_label="count", title=f"n is {n}")


def test_a_change_of_any_control_renders_anew():
    panel = panel_of_all_controls()
    ends = {"k": 50, "temperature": 0.0, "how": "greedy", "mask": False, "prompt": "A"}
    for name, end in ends.items():
        panel.controls[name].value = end
        assert f"{name}={end!r}" in panel.view.value


def test_rendering_at_both_ends_of_every_control_works():
    panel = panel_of_all_controls()
    before = panel.state()
    for name, control in panel.controls.items():
        for end in widgets.ends(control):
            control.value = end
            assert f"{name}={end!r}" in panel.view.value
        control.value = before[name]


def test_trying_the_ends_calls_render_there_and_takes_a_value_error_for_an_answer():
    tried = []

    def render(n, prompt):
        tried.append((n, prompt))
        return refuse_empty(prompt)

    n, prompt = widgets.slider(0, 9, 1, 5, "n"), widgets.text("A", "prompt")
    widgets.explore(render, n=n, prompt=prompt).try_ends()
    assert {n for n, _ in tried} == {0, 5, 9}
    assert (5, "") in tried


@pytest.mark.parametrize("make", [widgets.explore, widgets.writer])
def test_trying_the_ends_raises_any_other_error(make):
    def divide(n):
        return [str(1 / n)] if make is widgets.writer else str(1 / n)

    panel = make(divide, n=widgets.slider(0, 9, 1, 5, "n"))
    with pytest.raises(ZeroDivisionError):
        panel.try_ends()


def test_trying_the_ends_of_a_writer_waits_for_no_long_text():
    def endless(n):
        while True:
            yield str(n)

    widgets.writer(endless, n=widgets.slider(0, 9, 1, 5, "n")).try_ends()


def test_a_figure_is_shown_as_an_image_with_its_alternative_text():
    panel = widgets.explore(
        bars, alt="A bar of height {n} & more", n=widgets.slider(1, 9, 1, 2, "n")
    )
    first = panel.view.value
    assert 'alt="A bar of height 2 &amp; more"' in first
    assert 'src="data:image/png;base64,' in first
    panel.controls["n"].value = 9
    assert 'alt="A bar of height 9' in panel.view.value
    assert panel.view.value != first


def test_a_figure_without_alternative_text_is_refused():
    with pytest.raises(TypeError, match="needs alt"):
        widgets.explore(bars, n=widgets.slider(1, 9, 1, 2, "n"))


def test_what_is_no_figure_and_no_html_is_refused():
    with pytest.raises(TypeError, match="render returned int"):
        widgets.explore(lambda n: n, n=widgets.slider(1, 9, 1, 2, "n"))


def refuse_empty(prompt):
    if not prompt:
        raise ValueError("the prompt is empty:\ntype a <word>")
    return prompt


def test_a_bad_input_is_shown_in_one_line_and_the_panel_goes_on():
    panel = widgets.explore(refuse_empty, prompt=widgets.text("The", "prompt"))
    panel.controls["prompt"].value = ""
    assert panel.view.value.count("\n") == 0
    assert "the prompt is empty: type a &lt;word&gt;" in panel.view.value
    panel.controls["prompt"].value = "A"
    assert panel.view.value == "A"


def test_a_bad_first_value_is_the_authors_and_raises():
    with pytest.raises(ValueError, match="the prompt is empty"):
        widgets.explore(refuse_empty, prompt=widgets.text("", "prompt"))


def letters(prompt):
    if not prompt:
        raise ValueError("the prompt is empty")
    for end in range(1, len(prompt) + 1):
        yield prompt[:end]


def test_a_writer_shows_every_step_of_the_growing_text_and_then_stops():
    panel = widgets.writer(letters, prompt=widgets.text("a<b", "prompt"))
    assert panel.view.value == ""
    seen = []
    panel.view.observe(
        lambda change: seen.append((change.new, panel.button.disabled)), names="value"
    )
    panel.button.click()
    for (value, _), text in zip(seen, ["a", "a&lt;", "a&lt;b"], strict=True):
        assert f">{text}</pre>" in value
    assert [disabled for _, disabled in seen] == [True] * 3
    assert not panel.button.disabled


def test_a_writer_shows_a_bad_input_in_one_line_and_can_write_again():
    panel = widgets.writer(letters, prompt=widgets.text("", "prompt"))
    panel.button.click()
    assert "the prompt is empty" in panel.view.value
    panel.controls["prompt"].value = "to"
    panel.button.click()
    assert ">to<" in panel.view.value


def test_an_interrupted_writer_gives_its_button_back():
    def interrupted(n):
        yield "a"
        raise KeyboardInterrupt

    panel = widgets.writer(interrupted, n=widgets.slider(0, 1, 1, 0, "n"))
    with pytest.raises(KeyboardInterrupt):
        panel.button.click()
    assert not panel.button.disabled


def test_the_text_that_is_compared_is_the_same_for_every_value():
    one, other = panel_of_all_controls(), panel_of_all_controls()
    other.controls["k"].value = 33
    bundles = [panel._repr_mimebundle_() for panel in (one, other)]
    text = "[widget: top k, temperature, how, mask, prompt; run this cell to use it]"
    assert [bundle["text/plain"] for bundle in bundles] == [text] * 2
    assert all(len(bundle) == 2 for bundle in bundles)


def test_sliders_are_whole_or_fractional_by_their_numbers():
    assert isinstance(widgets.slider(0, 3, 1, 2, "n"), ipywidgets.IntSlider)
    assert isinstance(widgets.slider(0, 2, 0.5, 1, "t"), ipywidgets.FloatSlider)


def test_the_ends_of_every_control_differ_from_its_value_at_least_once():
    for control in panel_of_all_controls().controls.values():
        low, high = widgets.ends(control)
        assert low != high
    assert widgets.ends(widgets.choice([1, 2, 4], 2, "k")) == (1, 4)
    assert widgets.ends(widgets.slider(-2, 3, 1, 0, "k")) == (-2, 3)


def test_a_token_row_shows_every_token_and_its_id_and_escapes_html():
    row = widgets.token_row(["<b>", " a&", "\n"], ids=[7, 8, 9])
    assert "<b>" not in row
    assert all(
        part in row for part in ("&lt;b&gt;", "␣a&amp;", "↵", "<small>8</small>")
    )
    assert row.count("<span") == 3


def test_neighbouring_tokens_of_a_row_differ_in_shade_and_ids_may_be_left_out():
    row = widgets.token_row(["a", "b"])
    assert all(shade in row for shade in style.BOX_SHADES)
    assert "<small>" not in row


def test_wherever_html_sets_a_paper_it_sets_an_ink():
    panel = widgets.writer(letters, prompt=widgets.text("ab", "prompt"))
    panel.button.click()
    written = panel.view.value
    panel.controls["prompt"].value = ""
    panel.button.click()
    for page in (widgets.token_row(["a", "b"], ids=[1, 2]), written, panel.view.value):
        for look in re.findall('style="([^"]*)"', page):
            names = {part.partition(":")[0] for part in look.split(";")}
            assert ("color" in names) == ("background" in names), look


def test_trying_the_ends_takes_a_value_error_of_a_plain_function_for_an_answer():
    def stream(prompt):
        return [refuse_empty(prompt)]

    widgets.writer(stream, prompt=widgets.text("A", "prompt")).try_ends()


def counted(choices):
    """What a labelling might show; it refuses other letters."""
    if set(choices) - set("AB"):
        raise ValueError("choose A or B")
    return f"<b>{choices.count('A')}</b>"


def test_votes_are_added_and_taken_back():
    panel = widgets.voting(counted, "choices")
    for name in ("A", "B", "A", "back"):
        panel.vote(name)
    assert panel.controls["choices"].value == "AB"
    assert panel.view.value == "<b>1</b>"


def test_back_with_no_vote_changes_nothing():
    panel = widgets.voting(counted, "choices")
    panel.vote("back")
    assert panel.view.value == "<b>0</b>"


def test_votes_may_be_typed_and_wrong_letters_get_one_line():
    panel = widgets.voting(counted, "choices")
    panel.controls["choices"].value = "AAB"
    assert panel.view.value == "<b>2</b>"
    panel.controls["choices"].value = "AXB"
    assert "choose A or B" in panel.view.value
    panel.try_ends()
