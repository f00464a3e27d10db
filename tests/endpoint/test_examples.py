"""The examples in the docstrings of the request engine hold."""

import doctest
import importlib
import pkgutil

import pytest

import limbeck.endpoint

MODULES = [found.name for found in pkgutil.walk_packages(limbeck.endpoint.__path__, "limbeck.endpoint.")]


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_a_module_hold(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
