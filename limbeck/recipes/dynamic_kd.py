"""Dynamic distillation: the student's uncertainty says who teaches what, and how much it counts.

Li et al. 2021, arXiv:2109.11295; lancopku/DynamicKD, `models/{student,dynamic_teacher,dynamic_data,
dynamic_objective}.py`. Uncertainty is the entropy of the student's class scores over its maximum, a
constant. Three uses, one at a time: `data` asks the teacher only about the most uncertain share of
each batch; `teacher` lets a smaller teacher answer the more uncertain half and the large one the
rest; `objective` weighs scores by certainty and hidden states by uncertainty. Departures:

- no gradient flows through the uncertainty (in the official soft modes it does);
- hidden states are compared after a mean over tokens, normalised over their width (`patient`); the
  official code normalises over the sequence in one mode, padding included;
- the share is taken of each micro-batch, before dropout, by a forward pass of its own.
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.inputs import START, Columns
from limbeck.recipes.model import Recipe
from limbeck.recipes.parts import Student, Teacher
from limbeck.recipes.pkd import matched
from limbeck.recipes.selection import Selection
from limbeck.recipes.steps import Build, Evaluate, Load, Step, Train
from limbeck.recipes.terms import Term


def dynamic_kd(
    *,
    teacher: str,
    data: str,
    dynamic: Literal["data", "teacher", "objective"] = "data",
    small_teacher: str | None = None,
    share: Annotated[float, Field(gt=0, le=1)] = 0.5,
    by: Literal["entropy", "margin", "least_confidence", "random"] = "entropy",
    layers: Annotated[int, Field(ge=2)] = 6,
    teacher_layers: Annotated[int, Field(ge=2)] = 12,
    teacher_is_tuned: bool = False,
    alpha: float = 1.0,
    beta: float = 1.0,
    columns: Columns | None = None,
    heldout: float = 0.1,
    baseline: bool = True,
    learning_rate: float = 2e-5,
    num_train_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 32,
    max_length: int = 128,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with the labels beside scores of teachers that are asked by uncertainty.

    alpha weighs the scores (mean squared error), beta the hidden states of `objective`. The student is
    the teacher's first layers; the baseline is the same cut, trained on the labels alone.

    Args:
        teacher: the encoder that teaches, and whose first layers the student keeps: a folder or hub id.
        dynamic: what the student's uncertainty decides: data (which rows the teacher answers), teacher
            (which of two teachers answers) or objective (how scores and hidden states are weighed).
        small_teacher: the second teacher of dynamic=teacher, which answers the rows that the student is
            unsure of.
        share: of the rows of a step: those that count as uncertain.
        by: how uncertainty is measured.
        alpha: weight of the teacher's scores (mean squared error).
        beta: weight of the hidden states, with dynamic=objective.
    """
    if (dynamic == "teacher") != (small_teacher is not None):
        raise ConfigError(
            Problem(
                "small_teacher", "goes with dynamic: teacher, which needs two teachers of different size."
            )
        )
    tuned, tuned_small = (teacher, small_teacher) if teacher_is_tuned else ("tuned", "tuned_small")

    def train(out: str, student: str, objective: tuple[Term, ...], **fields: object) -> Step:
        return Train.model_validate(
            {
                "out": out,
                "student": student,
                "rows": "rows.train",
                "objective": objective,
                "model_kind": "classifier",
                "learning_rate": learning_rate,
                "lr_scheduler_type": "linear",
                "warmup_ratio": 0.1,
                "weight_decay": 0.01,
                "adam_beta2": 0.999,
                "num_train_epochs": num_train_epochs,
                "max_steps": max_steps,
                "per_device_train_batch_size": per_device_train_batch_size,
                "max_length": max_length,
                "packing": False,
                "seed": seed,
                **fields,
            }
        )

    labels = (Term(name="cross_entropy"),)
    tunings = [("tuned", teacher)] + ([("tuned_small", small_teacher)] if small_teacher else [])
    other = Teacher(model=str(tuned_small)) if dynamic == "teacher" else None
    selection = None
    if dynamic != "objective":
        selection = Selection(by=by, share=share, other=Teacher(model=tuned) if other else None)
    return Recipe(
        name="dynamic_kd",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *(() if teacher_is_tuned else (train(out, str(word), labels) for out, word in tunings)),
            Build(out=START, student=Student(cut=tuned, layers=tuple(range(layers))), seed=seed),
            *((train("baseline", START, labels),) if baseline else ()),
            train(
                "student",
                START,
                (*labels, *_taught(dynamic, alpha, beta, layers, teacher_layers)),
                # The smaller teacher answers the rows that the student is unsure of.
                teacher=other or Teacher(model=tuned),
                selection=selection,
            ),
            Evaluate(
                model="student",
                teacher=Teacher(model=tuned),
                baseline="baseline" if baseline else None,
                rows="rows.heldout",
                metrics=("classification", "calibration", "speed"),
                model_kind="classifier",
                max_length=max_length,
            ),
        ),
    )


def _taught(dynamic: str, alpha: float, beta: float, layers: int, teacher_layers: int) -> tuple[Term, ...]:
    """The terms that read a teacher."""
    if dynamic == "data":
        return (Term(name="logit_mse", weight=alpha, on="uncertain"),)
    if dynamic == "teacher":
        return tuple(Term(name="logit_mse", weight=alpha, on=group) for group in ("uncertain", "certain"))
    inner = Term(
        name="patient",
        weight=beta,
        weighted_by="uncertainty",
        layers=matched(layers, teacher_layers, "skip"),
        options={"pool": "mean"},
    )
    return (Term(name="logit_mse", weight=alpha, weighted_by="certainty"), inner)
