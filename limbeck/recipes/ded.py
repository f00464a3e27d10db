"""DED: few rows from the right teacher, on hard questions, as different from each other as they can be.

Wu et al. 2025, arXiv:2508.09883; no code is released. 1. A smoke test chooses the teacher: each answers the
same few questions, a student learns them in a few steps, and the best *student* wins; teachers that score
higher themselves may lose. 2. Questions that the student answers too often are left out. 3. Of a teacher's
right answers to a hard question those farthest from each other by edit distance are learnt. It runs in two
commands, as who is paid for the answers should be seen first: without `chosen` the smoke test alone, then the
same command with `chosen=NAME --overwrite`, which does no finished step again. With one teacher there is no
smoke test. Departures:

- how often the student may be right, how often it tries, how many answers are drawn and kept is not in the
  paper: `easiest`, `tries`, `samples` and `keep` are ours;
- the smoke test is on the questions that all teachers answered right, measured on rows that are neither
  learnt nor held out (`validation`), so that choosing does not touch what is reported;
- distances are divided by the longer answer's length, or long answers would win (selector `farthest`);
- the entropy of a teacher's answers and the shift of the student's states are not computed;
- ten epochs of a small set, 1e-5 there; steps and learning rate are ours. The baseline learns the data's own
  answers to all questions, in as many steps.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown
from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS, Columns, StudentLike, TeacherLike, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.sources import Tasks, asking, check_sources, compared_sources
from limbeck.recipes.steps import Gate, Mix, Select, Step
from limbeck.recipes.students import Student

Call = str | dict[str, Any]


def ded(
    *,
    teachers: Mapping[str, TeacherLike],
    student: StudentLike,
    data: Data,
    chosen: str | None = None,
    verifier: Call = "math_equal",
    operator: Call = "rationalise",
    smoke_questions: Annotated[int, Field(ge=1)] = 200,
    smoke_steps: Annotated[int, Field(ge=1)] = 100,
    tries: Annotated[int, Field(ge=1)] = 8,
    easiest: Annotated[float, Field(ge=0, le=1)] = 0.5,
    samples: Annotated[int, Field(ge=1)] = 8,
    keep: Annotated[int, Field(ge=1)] = 4,
    task: Tasks = "final_answer",
    columns: Columns | None = None,
    heldout: float = 0.1,
    validation: float = 0.1,
    baseline: bool = True,
    learning_rate: Rate = "auto",
    max_steps: Annotated[int, Field(ge=1)] = 500,
    per_device_train_batch_size: int = 8,
    max_length: int = 1024,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with the most different right answers of a chosen teacher to hard questions.

    Args:
        teachers: by names of yours: {strong: MODEL, other: {endpoint: URL, model: NAME}}.
        chosen: the teacher whose answers are learnt, by its name; null: the smoke test among them alone.
        verifier: a gate that says whether an answer is right, with its settings; it compares with the row's
            own answer, which is in `reference`.
        operator: how teachers are asked: `answer`, or `rationalise`, whose reasons are learnt, too.
        smoke_questions: that each teacher answers once for the smoke test, at most.
        smoke_steps: optimizer steps in which a student learns them.
        tries: of the untrained student at each question.
        easiest: share of them that may be right; questions above are left out.
        samples: draws of the teacher for each hard question.
        keep: right answers to each question that are learnt: the most different ones.
        task: how held-out answers are told right.
        validation: rows that the smoke test measures on: a share below 1, or a number of rows.
        max_steps: of the training, and of its baseline.
        max_new_tokens: of each answer.
    """
    _check(teachers, chosen)
    common = Elicited(
        teacher=next(iter(teachers.values())),
        student=student,
        data=data,
        columns=columns,
        heldout=heldout,
        baseline=baseline,
        learning_rate=learning_rate,
        max_steps=max_steps,
        per_device_train_batch_size=per_device_train_batch_size,
        max_length=max_length,
        seed=seed,
    )
    made, start = common_start(student, seed=seed)
    asked = asking(operator, max_new_tokens)
    measured = {"task": task, "max_length": max_length, "max_new_tokens": max_new_tokens, "seed": seed}
    is_contest = len(teachers) > 1
    steps: list[Step] = [common.loaded(validation=validation if is_contest else 0.0), *made]
    if is_contest:
        steps += _smoke_test(common, start, teachers, asked, verifier, smoke_questions, smoke_steps, measured)
    if chosen is not None:
        answer = {"name": "answer", "sampling_temperature": 1.0, "max_new_tokens": max_new_tokens}
        steps += _hard_questions(common, start, answer, verifier, tries, easiest)
        steps += _answers(common, teachers[chosen], asked, verifier, samples, keep)
        steps += [common.trained("baseline", start, ROWS)] if baseline else []
        steps.append(common.trained("student", start, "learnt"))
        drawn = ("generation",) if task else ()
        steps.append(common.evaluated(metrics=("perplexity", *drawn), prompts=256, **measured))
    return Recipe(name="ded", steps=tuple(steps))


def _smoke_test(
    common: Elicited,
    start: Student,
    teachers: Mapping[str, TeacherLike],
    asked: dict[str, Any],
    verifier: Call,
    questions: int,
    count: int,
    measured: dict[str, Any],
) -> Iterator[Step]:
    """Equal questions, steps and seeds for all teachers: what differs is who answered."""
    smoke: dict[str, Any] = {"rows": ROWS, "limit": questions, "gates": [verifier]}
    for name, teacher in teachers.items():
        yield common.elicited(asked, out=f"smoke_{name}", teacher=as_teacher(teacher), **smoke)
    yield Mix(out="smoke", rows=tuple(f"smoke_{name}" for name in teachers))
    shared = {"gates": [{"name": "common_question", "each": "mixed_from"}], "against": ["smoke"]}
    for name in teachers:
        yield Gate.model_validate({"out": f"shared_{name}", "rows": f"smoke_{name}", **shared})
    for name in teachers:
        yield common.trained(f"probe_{name}", start, f"shared_{name}", max_steps=count)
    probes = {name: f"probe_{name}" for name in teachers}
    yield from compared_sources(probes, rows="rows.validation", **measured)


def _hard_questions(
    common: Elicited, start: Student, answer: dict[str, Any], verifier: Call, tries: int, easiest: float
) -> Iterator[Step]:
    """Rows whose question the untrained student seldom answers right, as `hard`."""
    itself = as_teacher(start.origin)
    yield common.elicited(
        answer, out="tried", teacher=itself, samples=tries, gates=[verifier], fewest=0, failures="skip"
    )
    yield Mix(out="tries", rows=("tried", "tried.rejected"))
    rate = {"name": "pass_rate", "maximum": easiest}
    yield Gate.model_validate({"out": "seldom_right", "rows": "tries", "gates": [rate]})
    known = {"gates": ["common_question"], "against": ["seldom_right"]}
    yield Gate.model_validate({"out": "hard", "rows": ROWS, **known})


def _answers(
    common: Elicited, teacher: TeacherLike, asked: dict[str, Any], verifier: Call, samples: int, keep: int
) -> Iterator[Step]:
    """Of right answers to each hard question the most different ones, as `learnt`."""
    yield common.elicited(
        asked,
        out="answers",
        rows="hard",
        teacher=as_teacher(teacher),
        samples=samples,
        gates=["finished", verifier, "exact_duplicate"],
    )
    yield Select.model_validate(
        {
            "out": "learnt",
            "rows": "answers",
            "selector": "farthest",
            "within": "parents",
            "budget": keep,
            "text": "answer",
        }
    )


def _check(teachers: Mapping[str, TeacherLike], chosen: str | None) -> None:
    if chosen is not None and chosen not in teachers:
        raise ConfigError(Problem("chosen", unknown("teacher", chosen, teachers)))
    if chosen is None or len(teachers) > 1:
        check_sources(teachers)
