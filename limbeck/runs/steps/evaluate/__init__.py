"""`evaluate`: models measured on held-out rows: looked at, planned, run."""

from limbeck.runs.steps.evaluate.look import look
from limbeck.runs.steps.evaluate.plan import plan
from limbeck.runs.steps.evaluate.run import VERSION, run

__all__ = ["VERSION", "look", "plan", "run"]
