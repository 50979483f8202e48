"""For every test run, of notebooks too.

No progress bars, for they differ from run to run. No network, for nothing may need it:
the start-up file in `tests/offline` refuses it, here and in the kernels. The font cache
is built before: a kernel that finds none says so on stderr, and no stored output has
that. The longest notebook comes first, so that side by side they end soonest. After the
last cell of a notebook, one more tries all its widgets at the ends of their controls.
"""

import importlib
import os
import runpy
from collections import defaultdict
from pathlib import Path

from nbformat.v4 import new_code_cell
from nbval.plugin import IPyNbCell, IPyNbFile

from tools.notebooks import longest_first

OFFLINE = Path(__file__).parent / "tests" / "offline"
TRY_WIDGETS = """from gptcourse.lesson import widgets

for _value in [*globals().values(), *Out.values()]:
    if isinstance(_value, widgets.Panel):
        _value.try_ends()"""


def pytest_configure():
    """Prepare this process and, through its environment, the kernels it starts."""
    os.environ["TQDM_DISABLE"] = "1"
    paths = [str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    runpy.run_path(OFFLINE / "sitecustomize.py")
    importlib.import_module("matplotlib.font_manager")


def pytest_collection_modifyitems(items):
    """Order the notebooks, and put a cell after the last one of each."""
    of_notebook: dict[IPyNbFile, list] = {}
    for item in items:
        if isinstance(item, IPyNbCell):
            of_notebook.setdefault(item.parent, []).append(item)
    by_path = {notebook.path: notebook for notebook in of_notebook}
    ordered = [item for item in items if not isinstance(item, IPyNbCell)]
    for path in longest_first(by_path):
        cells = of_notebook[by_path[path]]
        ordered += [*cells, _widget_cell(cells[-1])]
    items[:] = ordered


def _widget_cell(last):
    return IPyNbCell.from_parent(
        last.parent,
        name="Widgets",
        cell_num=last.cell_num + 1,
        cell=new_code_cell(TRY_WIDGETS, execution_count=1),
        options=defaultdict(bool, check=True),
    )
