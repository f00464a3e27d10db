"""The examples in the docstrings of selectors are run."""

import doctest
import sys

import pytest

from limbeck.core.catalogue import catalogue

ENTRIES = catalogue("selectors")


@pytest.mark.parametrize("name", ENTRIES)
def test_the_example_in_the_docstring_is_true(name):
    function = ENTRIES[name].load()
    (test,) = doctest.DocTestFinder(recurse=False).find(
        function, name, globs=dict(vars(sys.modules[function.__module__]))
    )
    assert test.examples, "give the docstring an Example"
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test)
    assert not runner.failures
