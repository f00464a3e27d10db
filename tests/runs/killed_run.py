"""What a process that is killed does."""

import os
from collections.abc import Mapping

import limbeck
import limbeck.endpoint.transports.making
import limbeck.runs.launch
import limbeck.runs.steps.elicit
import limbeck.runs.steps.generate
import limbeck.runs.steps.load
from limbeck.runs import execute
from limbeck.runs.record.progress import Silent


def run(recipe: str, out: str, environment: Mapping[str, str]) -> None:
    """A run, without its report."""
    os.environ.update(environment)
    execute.write_report = lambda run: None
    limbeck.run(recipe, out, progress=Silent())
