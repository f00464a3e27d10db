"""The shipped assets are found by name; no torch."""

import subprocess
import sys

import pytest

from limbeck.assets import asset_names, asset_path
from limbeck.core.errors import ModelError


def test_a_known_name_gives_a_folder_with_a_card():
    assert (asset_path("code_teacher") / "README.md").is_file()


def test_an_unknown_name_is_refused_with_the_allowed_ones():
    with pytest.raises(ModelError, match=r"unknown asset .dictionary.*Allowed: code_teacher"):
        asset_path("dictionary")


def test_a_near_miss_is_refused_with_the_name_that_was_meant():
    with pytest.raises(ModelError, match="Did you mean 'code_teacher'"):
        asset_path("code-teacher")


def test_private_folders_are_not_assets():
    assert asset_names() == ["code_teacher"]


def test_looking_an_asset_up_does_not_import_torch():
    code = "import sys, limbeck.assets as a; a.asset_names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
