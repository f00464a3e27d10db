"""`train`: a student learns from rows and teachers: looked at, planned, run."""

from limbeck.runs.steps.train.look import look
from limbeck.runs.steps.train.plan import plan
from limbeck.runs.steps.train.run import VERSION, run

__all__ = ["VERSION", "look", "plan", "run"]
