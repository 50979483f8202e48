"""The rules of style on the package, and on every text of the repository."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gptcourse"
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
MODULE_LINES = 300
FUNCTION_LINES = 45  # without the docstring; the design says: rarely over 30
COLUMNS = 88
# The floors from the top down. A module imports from its own floor or from below.
FLOORS = [
    {"widgets", "figures", "maps", "drawing"},
    {"checks"},
    {"pretrained", "training", "sampling"},
    {"model"},
    {"layers", "attention"},
    {"corpora"},
    {"tokenizer"},
    {"results", "papers"},
]
FORBIDDEN = re.compile(
    r"/work/|/tmp/|/root/|/home/|\bClaude\b|\bTODO\b|\bFIXME\b|\bworkplace\b"
    r"|\bsub-?agent|\.\./shared"
)
TEXTS = {".py", ".md", ".toml", ".ipynb", ".cfg", ".yml", ".json", ".txt", ""}
SKIPPED = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"}


def tree(path):
    return ast.parse(path.read_text("utf-8"))


def imported(path):
    """The modules of the package that a module imports, also inside functions."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            names |= {part[1] for part in parts if part[0] == "gptcourse" and part[1:]}
        elif isinstance(node, ast.ImportFrom) and node.module == "gptcourse":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            head, _, rest = node.module.partition(".")
            names |= {rest} if head == "gptcourse" else set()
    return names
