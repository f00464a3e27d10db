"""The examples in the docstrings of gates run to the values they say."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import limbeck.gates
from limbeck.core.catalogue import catalogue

MODULES = [one.name for one in pkgutil.iter_modules(limbeck.gates.__path__)]
WITHOUT = ("near_duplicate", "ngram_repetition", "judge")
"""Gates whose calls are too long for an example."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = import_module(f"limbeck.gates.{name}")
    found = doctest.testmod(module)
    assert not found.failed
    assert found.attempted or name not in catalogue("gates") or name in WITHOUT, "shows a call with its value"
