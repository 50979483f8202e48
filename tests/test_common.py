"""Whole files: the old one or the new one, and nothing beside it."""

import stat
import threading

import pytest

from gptcourse.common import whole_file


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_file_is_made_with_the_folders_above_it(tmp_path, kind):
    path = tmp_path / "a" / "b" / "c.json"
    with whole_file(kind(path)) as beside:
        assert beside.parent == path.parent and beside.suffix == ".json"
        beside.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_exception_the_old_file_is_as_it_was(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with whole_file(path) as beside:
            beside.write_text("ha")
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_files_place_is_left_and_so_is_nothing_beside_it(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    with pytest.raises(OSError), whole_file(path) as beside:
        beside.write_text("text")
    assert list(tmp_path.iterdir()) == [path] and path.is_dir()


def test_a_new_file_has_the_rights_of_any_other(tmp_path):
    (tmp_path / "other").write_text("")
    with whole_file(tmp_path / "whole") as beside:
        beside.write_text("")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
    assert modes[0] == modes[1]


def test_writers_at_the_same_time_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    gate = threading.Barrier(4)

    def write(number):
        with whole_file(path) as beside:
            beside.write_text(str(number) * 1000)
            gate.wait()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in {str(number) * 1000 for number in range(4)}
    assert list(tmp_path.iterdir()) == [path]


def test_safetensors_can_write_into_it(tmp_path):
    numpy = pytest.importorskip("numpy")
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    with whole_file(path) as beside:
        safetensors.save_file({"x": numpy.arange(3)}, beside)
    assert safetensors.load_file(path)["x"].tolist() == [0, 1, 2]
