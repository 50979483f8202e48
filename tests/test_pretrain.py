"""The command line: what it learns from, what it refuses, how it goes on."""

import pytest

from gptcourse import pretrain
from gptcourse.training.checkpoints import load_gpt

TINY = "--n-vocab 260 --n-ctx 8 --n-embd 8 --n-head 2 --n-layer 1 --batch-size 4"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a small text to learn from. " * 60, encoding="utf-8")
    return path


def test_a_run_is_reported_saved_and_gone_on_with(text, tmp_path, capsys):
    path = tmp_path / "run.safetensors"
    given = f"{TINY} --text {text} --every 2 --checkpoint {path}".split()
    pretrain.main([*given, "--steps", "4"])
    history = pretrain.main([*given, "--steps", "6"])
    assert history.step == list(range(1, 7))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "step 2",
        "step 4",
        "step 2",
        "step 4",
        "step 6",
    ]
    assert load_gpt(path).config.n_vocab == 260


def test_the_last_twentieth_of_a_file_is_validation(text):
    train, validation = pretrain.read_text(text)
    assert train[0] + validation[0] == text.read_text(encoding="utf-8")
    assert len(validation[0]) / len(train[0]) == pytest.approx(0.05, abs=0.01)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text(" \n")
    with pytest.raises(ValueError, match="empty.txt is empty; there is nothing"):
        pretrain.main(["--text", str(path)])


def test_a_file_that_is_no_utf8_is_refused_with_its_place(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("déjà".encode("latin-1"))
    with pytest.raises(ValueError, match="latin.txt is no UTF-8 at byte 1"):
        pretrain.main(["--text", str(path)])


def test_the_documentation_is_the_default_text(monkeypatch):
    class Part:
        def __init__(self, text):
            self.text = text

        def texts(self):
            return [self.text]

    class Docs:
        def split(self):
            return Part("train on this " * 20), Part("measure on this " * 20)

    monkeypatch.setattr(pretrain, "python_docs", Docs)
    train, validation = pretrain.data(pretrain.arguments(["--n-vocab", "260"]))
    assert len(train) > 100 and len(validation) > 100
