"""One file a method: functions that return recipes, data only. This file is the list."""

from limbeck.recipes.minilm import minilm
from limbeck.recipes.model import Build, Evaluate, Generate, Load, Recipe, Train
from limbeck.recipes.parts import Layers, Student, Teacher, Term
from limbeck.recipes.pkd import pkd
from limbeck.recipes.quickstart import quickstart
from limbeck.recipes.seq_kd import seq_kd
from limbeck.recipes.sft import sft
from limbeck.recipes.step_by_step import step_by_step
from limbeck.recipes.word_kd import word_kd

__all__ = [
    "Build",
    "Evaluate",
    "Generate",
    "Layers",
    "Load",
    "Recipe",
    "Student",
    "Teacher",
    "Term",
    "Train",
    "minilm",
    "pkd",
    "quickstart",
    "seq_kd",
    "sft",
    "step_by_step",
    "word_kd",
]
