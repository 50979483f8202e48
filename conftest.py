"""For every test run, of notebooks too: no progress bars, the font cache built before.

A kernel that finds no font cache says so on stderr, and no stored output has that.
"""

import importlib
import os


def pytest_configure(config):
    os.environ["TQDM_DISABLE"] = "1"
    importlib.import_module("matplotlib.font_manager")
