"""Which teacher's right answers teach best? One student for each, all else equal.

Tian et al. 2025, arXiv:2505.14464; a-m-team/a-m-models has the report and the rows, no training code. Every
teacher is asked on its own until a verifier accepts (at most `attempts` times); answers with runs of 20 words
that occur more than 20 times are left out, and those above the teacher's own perplexity. Students learn what
is left of the questions that *all* teachers answered, in as many steps each, from the same start. Right
answers of a stronger teacher need not teach better: there the one with lower perplexity and more spread-out
lengths won. The report tells both by source, as scores of the gates of `right_NAME`, and what was asked for
them. Departures:

- the paper names no number of attempts; questions that are never solved lie in `answers_NAME.rejected`;
- perplexity is of the untrained student, where they took a strong model of 32 B parameters, unless `scorer`
  names another: one that knows the task, as a weak one may like noise. There is no threshold without
  `maximum_perplexity`: it holds for one teacher and one scorer;
- of repeated runs the row is left out; the paper says that runs were removed;
- full 2 epochs, 8e-5 and packs of 32k tokens there; steps and learning rate are ours. Warm-up 5 %, cosine;
- held-out rows' own answers are measured on, with an answer drawn greedily; the paper draws 4 to 64 times.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown
from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS, Columns, StudentLike, TeacherLike, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.sources import Tasks, asking, check_sources, compared_sources
from limbeck.recipes.steps import Gate, Mix, Step

_COSINE: dict[str, Any] = {"warmup_ratio": 0.05, "weight_decay": 0.0}


def source_matters(
    *,
    teachers: Mapping[str, TeacherLike],
    student: StudentLike,
    data: Data,
    verifier: str | dict[str, Any] = "math_equal",
    attempts: Annotated[int, Field(ge=1)] = 8,
    operator: str | dict[str, Any] = "rationalise",
    scorer: str | None = None,
    maximum_perplexity: Mapping[str, float] | None = None,
    repeated_words: Annotated[int, Field(ge=1)] = 20,
    repeated_most: Annotated[int, Field(ge=1)] = 20,
    task: Tasks = "final_answer",
    columns: Columns | None = None,
    heldout: float = 0.1,
    baseline: bool = True,
    learning_rate: Rate = "auto",
    max_steps: Annotated[int, Field(ge=1)] = 1000,
    per_device_train_batch_size: int = 8,
    max_length: int = 1024,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with verified answers of several teachers to the same questions, one student each.

    Args:
        teachers: two or more by names of yours: {strong: MODEL, other: {endpoint: URL, model: NAME}}.
        verifier: a gate that says whether an answer is right, with its settings; it compares with the row's
            own answer, which is in `reference`.
        attempts: draws of a question at most, until one is right.
        operator: how teachers are asked: `answer`, or `rationalise`, whose reasons are learnt, too.
        scorer: causal model whose perplexity of the answers is told; null: the student, untrained.
        maximum_perplexity: name of a teacher: highest perplexity that is learnt; others are told alone.
        repeated_words: of a run of words.
        repeated_most: times that a run may occur in all answers of a teacher.
        task: how held-out answers are told right.
        baseline: also train a student on the data's own answers to the same questions.
        max_steps: of each training.
        max_new_tokens: of each answer: when eliciting, and when measuring.
    """
    limits = dict(maximum_perplexity or {})
    check_sources(teachers)
    problems = [
        Problem("maximum_perplexity", unknown("teacher", one, teachers)) for one in {*limits} - {*teachers}
    ]
    if problems:
        raise ConfigError(problems)
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
    steps: list[Step] = [common.loaded(), *made]
    for name, teacher in teachers.items():
        steps.append(
            common.elicited(
                asked, out=f"answers_{name}", teacher=teacher, attempts=attempts, gates=[verifier]
            )
        )
        gates = list(_quality(limits.get(name), repeated_words, repeated_most))
        fields = {"rows": f"answers_{name}", "scorer": scorer or start.origin, "max_length": max_length}
        steps.append(Gate.model_validate({"out": f"right_{name}", "gates": gates, **fields}))
    steps.append(Mix(out="right", rows=tuple(f"right_{name}" for name in teachers)))
    shared = {"gates": [{"name": "common_question", "each": "mixed_from"}], "against": ["right"]}
    learnt = {name: f"right_{name}" for name in teachers} | ({"data": ROWS} if baseline else {})
    for name, rows in learnt.items():
        steps.append(Gate.model_validate({"out": f"shared_{name}", "rows": rows, **shared}))
    steps += [common.trained(f"student_{name}", start, f"shared_{name}", **_COSINE) for name in learnt]
    measured: dict[str, Any] = {"max_new_tokens": max_new_tokens, "max_length": max_length, "seed": seed}
    steps += compared_sources({name: f"student_{name}" for name in learnt}, task=task, **measured)
    return Recipe(name="source_matters", steps=tuple(steps))


def _quality(maximum: float | None, words: int, most: int) -> Iterator[dict[str, Any]]:
    yield {"name": "length", "unit": "words", "min": 1}
    # No perplexity is below 1, so that this edge lets all through and their perplexity is told.
    yield {"name": "perplexity", **({"minimum": 1.0} if maximum is None else {"maximum": maximum})}
    yield {"name": "ngram_repetition", "n": words, "most": most}
