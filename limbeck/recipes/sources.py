"""What recipes share that hold several teachers against each other by the students they make."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.steps import Evaluate, Step
from limbeck.recipes.steps.compare import Compare

Tasks = Literal["final_answer", "exact_match"] | None
"""How an answer is told right."""

DATA = "data"
"""The source that is no teacher: what the rows answered themselves."""


def check_sources(teachers: Collection[str]) -> None:
    """Refuse what cannot be compared.

    Raises:
        ConfigError: fewer than two, or a name that no step can have.
    """
    problems = []
    if len(teachers) < 2:
        problems.append(Problem("teachers", f"must name at least two to compare, got {len(teachers)}."))
    for name in teachers:
        if not name.isidentifier() or name == DATA:
            allowed = "must be letters, digits and _, and not data, as a part of the names of steps"
            problems.append(Problem(f"teachers.{name}", f"{allowed}, got {name!r}."))
    if problems:
        raise ConfigError(problems)


def asking(operator: str | dict[str, Any], max_new_tokens: int) -> dict[str, Any]:
    """An operator that draws answers, as a call with its settings."""
    given = {"name": operator} if isinstance(operator, str) else operator
    reasons = {"learn": "reasoning"} if given["name"] == "rationalise" else {}
    return {**reasons, "sampling_temperature": 1.0, "max_new_tokens": max_new_tokens, **given}


def compared_sources(
    students: Mapping[str, str], *, rows: str = "rows.heldout", task: Tasks = None, **of_evaluation: Any
) -> Iterator[Step]:
    """An evaluation of every student on the same rows, and all of them side by side.

    Args:
        students: name of a source -> the student that learnt from it.
        rows: that were held out.
        task: how answers are told right; None: no answers are drawn.
        of_evaluation: further fields.
    """
    drawn = ("generation",) if task else ()
    outs = {name: f"from_{name}" for name in students}
    for name, model in students.items():
        fields = {"metrics": ("perplexity", *drawn), "task": task, "prompts": 256, **of_evaluation}
        yield Evaluate.model_validate({"out": outs[name], "model": model, "rows": rows, **fields})
    measure = "task" if task else "bits_per_byte"
    tests = [{"test": "paired_t", "y": measure, "against": next(reversed(outs.values()))}]
    by = {out: {"source": name} for name, out in outs.items()}
    yield Compare.model_validate({"evaluations": tuple(outs.values()), "by": by, "tests": tests})
