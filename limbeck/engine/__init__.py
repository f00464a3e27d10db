"""The training loop over accelerate; knows no method."""

from limbeck.engine.loop import train
from limbeck.engine.party import Criterion, Party
from limbeck.engine.records import StepReport, TrainResult

__all__ = ["Criterion", "Party", "StepReport", "TrainResult", "train"]
