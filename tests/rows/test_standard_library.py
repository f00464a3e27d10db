"""The standard library's files and their split; no torch, about a second."""

import subprocess
import sys
import textwrap
from pathlib import Path, PurePosixPath

import pytest

from limbeck.rows.standard_library import SourceFile, is_heldout, is_library_name, standard_library_files

FOLDERS_OF_TESTS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


@pytest.fixture(scope="module")
def files() -> list[SourceFile]:
    return standard_library_files()


def test_the_side_of_a_name_is_its_hash_worked_out_by_hand():
    # printf pickle.py | sha256sum begins f58054f3 = 4118828275 = 25 x 164753131.
    assert is_heldout("pickle.py")
    # printf json/decoder.py | sha256sum begins 3b2e3cb3 = 992885939 = 25 x 39715437 + 14.
    assert not is_heldout("json/decoder.py")


def test_the_held_out_files_of_every_python_include_these(files):
    heldout = {file.name for file in files if file.heldout}
    assert {"ast.py", "functools.py", "inspect.py", "pickle.py", "xml/etree/ElementTree.py"} <= heldout


def test_about_four_percent_of_the_files_are_held_out(files):
    share = sum(file.heldout for file in files) / len(files)
    assert 0.02 < share < 0.07


def test_no_held_out_text_is_also_a_training_text(files):
    training = {file.text for file in files if not file.heldout}
    heldout = [file.text for file in files if file.heldout]
    assert heldout
    assert training.isdisjoint(heldout)


def test_every_text_and_every_name_appears_once_and_names_are_sorted(files):
    assert len({file.text for file in files}) == len(files)
    names = [file.name for file in files]
    assert names == sorted(set(names))


def test_tests_packages_and_caches_are_absent(files):
    for file in files:
        assert FOLDERS_OF_TESTS.isdisjoint(PurePosixPath(file.name).parts), file.name


def test_machine_written_files_are_absent(files):
    names = {file.name for file in files}
    assert names.isdisjoint({"pydoc_data/topics.py", "encodings/cp1252.py", "stringprep.py"})
    assert not any("_sysconfigdata" in name for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "test/test_json.py",
        "lib2to3/tests/data/x.py",
        "idlelib/idle_test/mock_tk.py",
        "site-packages/torch/__init__.py",
        "_sysconfigdata__linux_x86_64-linux-gnu.py",
        "config-3.11-x86_64-linux-gnu/python-config.py",
    ],
)
def test_a_name_that_is_not_library_code_is_refused(name):
    assert not is_library_name(name)


@pytest.mark.parametrize("name", ["doctest.py", "unittest/case.py", "configparser.py", "json/decoder.py"])
def test_a_name_that_only_resembles_an_excluded_one_is_kept(name):
    assert is_library_name(name)


def test_the_familiar_modules_are_present_with_their_exact_bytes(files):
    texts = {file.name: file.text for file in files}
    assert {"argparse.py", "json/decoder.py", "asyncio/tasks.py"} <= set(texts)
    assert texts["textwrap.py"].encode() == Path(textwrap.__file__).read_bytes()


def test_importing_the_module_does_not_import_torch():
    code = "import sys; from limbeck.rows import standard_library; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
