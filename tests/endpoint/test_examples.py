"""The examples in the docstrings of the request engine hold."""

import doctest
import importlib
import pkgutil

import pytest

import limbeck.endpoint


@pytest.mark.parametrize("module", [found.name for found in pkgutil.iter_modules(limbeck.endpoint.__path__)])
def test_examples_of_a_module_hold(module):
    assert doctest.testmod(importlib.import_module(f"limbeck.endpoint.{module}")).failed == 0
