"""Files are whole or absent, and what a killed process left is known by its name."""

import json
import os
from pathlib import Path

import pytest

from limbeck.core.files import (
    beside,
    clear_leftovers,
    is_leftover,
    read_checked,
    read_json_lines,
    read_mapping,
    write_checked,
    write_folder,
    write_json,
)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(RuntimeError), beside(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == 1


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path: Path):
    write_folder(tmp_path / "a", lambda folder: (folder / "one").write_text("1") and None)

    def fail(folder: Path) -> None:
        (folder / "two").write_text("2")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "a", fail)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["a", "a/one"]


def test_what_is_written_while_it_is_written_is_called_a_leftover(tmp_path: Path):
    with beside(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        assert [is_leftover(path.name) for path in tmp_path.iterdir()] == [True]
    for name in ("a.json", ".lock", ".a.part", "a.1.part", ".thesis.part", ".a.x.part"):
        assert not is_leftover(name)


def test_leftovers_are_cleared_and_other_files_stay(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".model.12.part").mkdir()
    (tmp_path / "b" / ".model.12.part" / "weights").touch()
    for name in (".a.json.1.part", "b/.c.2.old", ".hidden", "b/c"):
        (tmp_path / name).touch()
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".hidden", "b", "c"]


def test_bytes_behind_their_checksum(tmp_path: Path):
    path = tmp_path / "a"
    assert read_checked(path) is None
    for data in (b"", b"one\ntwo\n", os.urandom(100)):
        write_checked(path, data)
        assert read_checked(path) == data
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_checked(path) is None
        path.write_bytes(whole[:place])
        assert read_checked(path) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"null", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_mapping_is_none(tmp_path: Path, content: bytes):
    (tmp_path / "a.json").write_bytes(content)
    assert read_mapping(tmp_path / "a.json") is None
    assert read_mapping(tmp_path / "missing.json") is None
    assert read_json_lines(tmp_path / "a.json") == []


def test_lines_that_cannot_be_read_are_left_out(tmp_path: Path):
    (tmp_path / "a").write_bytes(b'{"a": 1}\n\xff\n[2]\n{"b": 2}\n{"c"')
    assert read_json_lines(tmp_path / "a") == [{"a": 1}, {"b": 2}]
    assert read_json_lines(tmp_path / "missing") == []
