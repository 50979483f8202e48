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
    given = f"--text {text} --n-vocab 257".split()  # a token a byte, no merges
    _, train, validation = pretrain.data(pretrain.arguments(given))
    letters = text.read_text(encoding="utf-8")
    assert len(train) == int(0.95 * len(letters))
    assert len(train) + len(validation) == len(letters)


def test_other_heads_are_refused_in_one_line_and_the_checkpoint_stays(text, tmp_path):
    path = tmp_path / "run.safetensors"
    given = f"{TINY} --text {text} --checkpoint {path} --steps 2".split()
    pretrain.main(given)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="n_head is 2, in this run 8") as error:
        pretrain.main([*given, "--n-head", "8", "--steps", "4"])
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def test_the_command_ends_with_one_line_of_what_was_wrong(text, monkeypatch):
    given = f"prog {TINY} --text {text} --steps 2 --every 0"
    monkeypatch.setattr("sys.argv", given.split())
    with pytest.raises(SystemExit) as ended:
        pretrain.command()
    assert str(ended.value).startswith("gptcourse.pretrain: steps=2, every=0")


@pytest.mark.parametrize("letters", [30, 150])
def test_a_text_too_short_is_noticed_before_training(tmp_path, monkeypatch, letters):
    def never(*_, **__):
        raise AssertionError("trained on a text that cannot be validated")

    monkeypatch.setattr(pretrain, "train", never)
    path = tmp_path / "short.txt"
    path.write_text("abcdefghijklmno"[:15] * (letters // 15), encoding="utf-8")
    given = f"{TINY} --n-ctx 20 --text {path}".split()
    with pytest.raises(ValueError, match="holds no window of n_ctx [+] 1 = 21"):
        pretrain.main(given)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_file_is_refused(tmp_path, text):
    path = tmp_path / "empty.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"shape \([01],\) holds no window"):
        pretrain.main(["--text", str(path)])


def test_a_file_that_is_no_utf8_is_refused_with_its_place(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("déjà".encode("latin-1"))
    with pytest.raises(ValueError, match="latin.txt: byte 1 is no UTF-8"):
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
    _, train, validation = pretrain.data(pretrain.arguments(["--n-vocab", "260"]))
    assert len(train) > 100 and len(validation) > 100
