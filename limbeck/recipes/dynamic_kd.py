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
from limbeck.recipes.batches import Selection
from limbeck.recipes.comparison import compared
from limbeck.recipes.encoders import LABELS, TUNED, Encoders
from limbeck.recipes.inputs import START
from limbeck.recipes.model import Recipe
from limbeck.recipes.pkd import matched
from limbeck.recipes.steps import Build
from limbeck.recipes.students import CutStudent
from limbeck.recipes.teachers import ModelTeacher
from limbeck.recipes.terms import Term

_WARMUP = 0.1


@compared()
def dynamic_kd(
    usual: Encoders,
    *,
    dynamic: Literal["data", "teacher", "objective"] = "data",
    small_teacher: str | None = None,
    share: Annotated[float, Field(gt=0, le=1)] = 0.5,
    by: Literal["entropy", "margin", "least_confidence", "random"] = "entropy",
    layers: Annotated[int, Field(ge=2)] = 6,
    teacher_layers: Annotated[int, Field(ge=2)] = 12,
    teacher_is_tuned: bool = False,
    alpha: float = 1.0,
    beta: float = 1.0,
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
    untuned = {TUNED: usual.teacher} | ({"tuned_small": small_teacher} if small_teacher else {})
    words = list(untuned.values() if teacher_is_tuned else untuned)
    teacher = ModelTeacher(model=words[0])
    # The smaller teacher answers the rows that the student is unsure of.
    asked, other = (ModelTeacher(model=words[1]), teacher) if dynamic == "teacher" else (teacher, None)
    selection = None if dynamic == "objective" else Selection(by=by, share=share, other=other)
    steps = (
        *(
            usual.train(out, word, LABELS, warmup_ratio=_WARMUP)
            for out, word in untuned.items()
            if not teacher_is_tuned
        ),
        Build(out=START, student=CutStudent(cut=words[0], layers=tuple(range(layers))), seed=usual.seed),
        *((usual.train("baseline", START, LABELS, warmup_ratio=_WARMUP),) if usual.baseline else ()),
        usual.train(
            "student",
            START,
            (*LABELS, *_taught(dynamic, alpha, beta, layers, teacher_layers)),
            asked,
            selection=selection,
            warmup_ratio=_WARMUP,
        ),
    )
    return usual.recipe("dynamic_kd", steps, teacher=words[0])


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
