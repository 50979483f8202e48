"""Widgets: a few controls around a pure function that gives a picture or HTML.

A panel puts the controls over one `ipywidgets.HTML` and sets its `value` when they
change; there is no hidden state and no captured output. Where no kernel runs, a page
shows the panel's one-line text, which is the same in every run: notebooks therefore
show the same picture statically first.
"""

import base64
import html
from contextlib import suppress
from itertools import islice, zip_longest

import ipywidgets
from matplotlib.figure import Figure

from gptcourse.lesson import style

LAYOUT = {"width": "95%", "max_width": "640px"}
WIDE_LABELS = {"description_width": "12em"}
BOX = (
    "display:inline-block;border:1px solid #555;color:#000;margin:1px;padding:0 2px;"
    "font-family:monospace;text-align:center;vertical-align:top;white-space:pre;"
)
TRIAL_STEPS = 3  # of a growing text: enough to meet an error of its settings
ODD_TEXT = "Ünïcode & <tags> " * 20


def slider(low, high, step, value, label) -> ipywidgets.Widget:
    """A slider from `low` to `high`: whole numbers if all four are whole.

    >>> slider(1, 50, 1, 10, "top k").value
    10
    """
    whole = all(isinstance(number, int) for number in (low, high, step, value))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    look = {"continuous_update": False, **_looks(label)}
    return kind(value=value, min=low, max=high, step=step, **look)


def choice(options, value, label) -> ipywidgets.Widget:
    """A menu of `options`: texts or numbers.

    >>> choice(["greedy", "sampled"], "greedy", "how").value
    'greedy'
    """
    return ipywidgets.Dropdown(options=options, value=value, **_looks(label))


def text(value, label) -> ipywidgets.Widget:
    """A line of text; it counts as changed when the reader presses Enter or leaves it.

    >>> text("The function", "prompt").value
    'The function'
    """
    return ipywidgets.Text(value, **_looks(label), continuous_update=False)


def toggle(value, label) -> ipywidgets.Widget:
    """A box to tick.

    >>> toggle(True, "mask").value
    True
    """
    return ipywidgets.Checkbox(value, **_looks(label))


def _looks(label):
    return {"description": label, "style": WIDE_LABELS, "layout": LAYOUT}


def ends(control) -> tuple:
    """The two extreme values of a control: what a test tries.

    >>> ends(slider(0.0, 2.0, 0.1, 1.0, "temperature"))
    (0.0, 2.0)
    """
    if hasattr(control, "options"):
        return control.options[0], control.options[-1]
    if isinstance(control.value, bool):
        return False, True
    if isinstance(control.value, str):
        return "", ODD_TEXT
    return control.min, control.max


class Panel(ipywidgets.VBox):
    """Controls, perhaps a button, and one view whose `value` is the HTML seen."""

    def __init__(self, controls, stream, *buttons):
        """`stream(**state)` yields what the view shows, one HTML after the other."""
        self.controls = controls
        self.stream = stream
        self.view = ipywidgets.HTML()
        super().__init__([*controls.values(), *buttons, self.view])

    def state(self) -> dict:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def refresh(self) -> None:
        """Show what the controls ask for; a ValueError is shown as its one line."""
        try:
            for shown in self.stream(**self.state()):
                self.view.value = shown
        except ValueError as error:
            self.view.value = _one_line(error)

    def try_ends(self) -> None:
        """Try each control at both ends; only a ValueError is taken for an answer."""
        for name, control in self.controls.items():
            for end in ends(control):
                with suppress(ValueError):
                    stream = self.stream(**self.state() | {name: end})
                    list(islice(stream, TRIAL_STEPS))

    def __repr__(self):
        labels = ", ".join(control.description for control in self.controls.values())
        return f"[widget: {labels}; run this cell to use it]"

    def _repr_mimebundle_(self, **kwargs):
        # The usual text is the first 110 characters of every value: it would change.
        return super()._repr_mimebundle_(**kwargs) | {"text/plain": repr(self)}


def explore(render, *, alt="", **controls) -> Panel:
    """A panel that shows `render(**state)` and shows it anew when a control changes.

    `render` is pure: it takes the controls' values by name and returns a matplotlib
    `Figure` or a text of HTML. For a figure, `alt` is its alternative text, which may
    name controls in braces. After a change, a ValueError from `render` is shown as its
    one line, so that a reader may type anything. For the first values it is raised.

    >>> panel = explore(lambda n: f"<b>{n * n}</b>", n=slider(0, 9, 1, 3, "n"))
    >>> panel.controls["n"].value = 5
    >>> panel.view.value
    '<b>25</b>'
    """

    panel = Panel(controls, lambda **state: [_picture(render(**state), alt, state)])
    return _live(panel)


def _live(panel):
    """Show a panel's first picture, and a new one whenever a control changes."""
    [panel.view.value] = panel.stream(**panel.state())
    for control in panel.controls.values():
        control.observe(lambda _change: panel.refresh(), names="value")
    return panel


def voting(render, label, letters="AB") -> Panel:
    """A panel that shows `render(choices)`, with a button for each letter to choose.

    The choices are one text such as "ABBA", which the reader may type too; a last
    button takes back the last of them. `render` returns HTML; after a change, a
    ValueError from it is shown as its one line. `panel.vote("A")` does what the
    reader's click does.

    >>> panel = voting(lambda choices: f"{len(choices)} votes", "your choices")
    >>> panel.vote("A"); panel.vote("B"); panel.vote("back")
    >>> panel.controls["choices"].value, panel.view.value
    ('A', '1 votes')
    """
    control, buttons = text("", label), {}
    for name in (*letters, "back"):
        buttons[name] = ipywidgets.Button(description=name)
        buttons[name].on_click(lambda _button, name=name: vote(name))

    def vote(name):
        grown = control.value[:-1] if name == "back" else control.value + name
        control.value = grown

    row = ipywidgets.HBox(list(buttons.values()))
    panel = Panel({"choices": control}, lambda choices: [render(choices)], row)
    panel.vote = lambda name: buttons[name].click()
    return _live(panel)


def writer(stream, **controls) -> Panel:
    """A panel with a button that shows a text while it grows.

    `stream(**state)` yields the text so far, again and again, longer each time. The
    button is off while it runs. A ValueError is shown as its one line.
    `panel.button.click()` does what the reader's click does.

    >>> def count(n):
    ...     for i in range(1, n + 1):
    ...         yield " ".join(map(str, range(1, i + 1)))
    >>> panel = writer(count, n=slider(1, 5, 1, 3, "up to"))
    >>> panel.button.click()
    >>> "1 2 3" in panel.view.value
    True
    """

    def write(_button):
        button.disabled = True
        try:
            panel.refresh()
        finally:
            button.disabled = False

    button = ipywidgets.Button(description="Write", button_style="primary")
    button.on_click(write)
    panel = Panel(controls, lambda **state: map(_written, stream(**state)), button)
    panel.button = button
    return panel


def token_row(texts, ids=()) -> str:
    """HTML of a text cut into tokens: a bordered box a token, its id, if given, below.

    Neighbours differ in shade; spaces and ends of lines are visible.

    >>> row = token_row(["a", " <b>"], ids=[5, 7])
    >>> "␣&lt;b&gt;" in row, row.count("<small>")
    (True, 2)
    """
    boxes = []
    for index, (token, number) in enumerate(zip_longest(texts, ids)):
        shown = html.escape("".join(style.VISIBLE.get(c, c) for c in token))
        below = "" if number is None else f"<br/><small>{number}</small>"
        look = f"{BOX}background:{style.BOX_SHADES[index % 2]}"
        boxes.append(f'<span style="{look}">{shown}{below}</span>')
        boxes += ["<br/>"] * ("\n" in token)
    return f'<div style="line-height:1.3">{"".join(boxes)}</div>'


def _picture(shown, alt, state):
    """HTML of what a render returned; a figure becomes an image with its text."""
    if isinstance(shown, str):
        return shown
    if not isinstance(shown, Figure):
        raise TypeError(f"render returned {type(shown).__name__}, not a Figure or HTML")
    if not alt.strip():
        raise TypeError("a render that returns a Figure needs alt, its text in words")
    data = base64.b64encode(style.png(shown)).decode("ascii")
    words = html.escape(alt.format(**state))
    width = style.shown_width(shown)
    return (
        f'<img alt="{words}" width="{width}" style="max-width:100%" '
        f'src="data:image/png;base64,{data}"/>'
    )


def _written(grown):
    look = "white-space:pre-wrap;line-height:1.4;max-width:88ch"
    return f'<pre style="{look}">{html.escape(grown)}</pre>'


def _one_line(error):
    line = " ".join(str(error).split())
    return f'<p role="alert">⚠ {html.escape(line)}</p>'
