"""Every public objective says what it takes, and shows a call that runs to the value it says."""

import doctest
import inspect

import pytest

from limbeck import objectives


@pytest.mark.parametrize("name", objectives.__all__)
def test_the_example_of_an_objective_runs(name):
    function = getattr(objectives, name)
    assert "\n    Takes:\n" in (function.__doc__ or ""), "says which rows and which teacher"
    (test,) = doctest.DocTestFinder(recurse=False).find(
        function, name, globs=dict(vars(inspect.getmodule(function)))
    )
    assert any(example.want for example in test.examples), "shows a call with its value"
    runner = doctest.DocTestRunner(verbose=False)
    said: list[str] = []
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
