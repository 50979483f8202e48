"""Nothing needs a network, and what needs no torch imports none.

All test runs, and the kernels of the notebooks under test, start with
`offline/sitecustomize.py`, which refuses what leaves this machine.
"""

import subprocess
import sys

import pytest

EVERYTHING = """
import pkgutil, gptcourse
for module in pkgutil.walk_packages(gptcourse.__path__, "gptcourse."):
    __import__(module.name)
import torch
from gptcourse import corpora
from gptcourse.training.batches import RandomBatches
from gptcourse.models.gpt import GPT, GPTConfig
from gptcourse.training.optimizers import muon
from gptcourse.models.sampling import generate
from gptcourse.tokenizers.byte_pair import BytePairTokenizer
from gptcourse.training.loop import train

corpus = corpora.python_docs()
tokenizer = BytePairTokenizer.train([corpus.documents[0].text], 270)
tokens = torch.tensor(tokenizer.encode(corpus.documents[0].text * 9))
model = GPT(GPTConfig(tokenizer.n_vocab, 8, 16, 2, 1))
train(model, RandomBatches(tokens, 2, 8), 2, muon(model))
print(len(tokenizer.decode(generate(model, tokens[None, :4], 4)[0].tolist())) > 0)
"""


def python(code, *flags):
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_package_works_with_the_network_forbidden():
    done = python(EVERYTHING)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(
    "use",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "socket.socket().connect(('192.0.2.1', 80))",
        "socket.getaddrinfo('example.org', 80)",
    ],
)
def test_the_guard_would_catch_a_use_of_the_network(use):
    done = python("import socket; " + use)
    assert "network use" in done.stderr


def imports(module):
    """Whether importing this module imports torch, and what it prints."""
    done = python(f"import sys, {module}; sys.exit(9 * ('torch' in sys.modules))")
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 9, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "gptcourse.corpora",
        "gptcourse.tokenizers",
        "gptcourse.lesson.papers",
        "gptcourse.lesson.results",
    ],
)
def test_what_needs_no_torch_imports_none_and_prints_nothing(module):
    assert imports(module) == (False, "")


def test_an_import_of_torch_would_be_seen():
    assert imports("gptcourse.models") == (True, "")
