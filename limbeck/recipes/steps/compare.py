"""`compare`: several evaluations side by side, with figures and tests over what was varied."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.core.lookup import unknown
from limbeck.core.measures import COMPARED, SIZES
from limbeck.recipes.references import Names
from limbeck.recipes.steps.evaluate import Evaluate
from limbeck.recipes.steps.step import Makes, Step
from limbeck.report.words import listed

Level = float | str

_FEWEST = 2
_NEED_TASK = {"task": ("python_syntax", "exact_match", "final_answer")} | dict.fromkeys(
    ("answer_agreement", "rationale_bleu"), ("final_answer",)
)


class Figure(Config):
    """The compared students as points: `y` over `x`, in a colour for each `group`."""

    x: str = Field(description="a measure, parameters, teacher_parameters, or a key of `by`")
    y: str
    group: str | None = Field(default=None, description="a key of `by`")


class HypothesisTest(Config):
    """One test of a measure `y` over the compared students.

    spearman: rank correlation with `x`. anova: one-way over the levels of `factor`, a key of `by`.
    paired_t: of every student with the one of the evaluation `against`, over the held-out rows.
    """

    test: Literal["spearman", "anova", "paired_t"]
    y: str
    x: str | None = None
    factor: str | None = None
    against: str | None = None

    @model_validator(mode="after")
    def _has_its_field(self) -> "HypothesisTest":
        needed = {"spearman": "x", "anova": "factor", "paired_t": "against"}
        for test, name in needed.items():
            given = getattr(self, name) is not None
            if given != (test == self.test):
                raise ValueError(f"{test} needs {name}." if not given else f"{name} goes with {test} alone.")
        return self


class Compare(Step):
    """Hold several evaluations on the same rows against each other."""

    kind: ClassVar[str] = "compare"
    makes: ClassVar[Makes] = "comparison"
    out: str = "comparison"
    evaluations: Annotated[tuple[str, ...], Names("evaluation")] = Field(
        description="outs of evaluate steps, at least two"
    )
    by: dict[str, dict[str, Level]] = Field(
        default_factory=dict, description="out of an evaluation: what was varied there, a number or a word"
    )
    figures: tuple[Figure, ...] = ()
    tests: tuple[HypothesisTest, ...] = ()

    @property
    def factors(self) -> tuple[str, ...]:
        """Everything that was varied, in the order it is named."""
        return tuple(dict.fromkeys(name for levels in self.by.values() for name in levels))

    @model_validator(mode="after")
    def _names_what_is_there(self) -> "Compare":
        problems = [*self._counted(), *self._unknown_words()]
        if problems:
            raise ValueError(" ".join(problems))
        return self

    def sentence(self) -> str:
        """What it did, for the report."""
        names = listed([f"`{out}`" for out in self.evaluations])
        return f"Held the evaluations {names} against each other"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """The evaluations must be on the same rows, and of what is shown."""
        made = [Evaluate.that_made(out, earlier) for out in self.evaluations]
        found = [one for one in made if one is not None]
        rows = list(dict.fromkeys((one.rows, one.limit) for one in found))
        if len(rows) > 1:
            said = ", ".join(name if limit is None else f"{name}[:{limit}]" for name, limit in rows)
            yield Problem("evaluations", f"must be on the same held-out rows, got {said}.")
        for name in self._shown():
            yield from (Problem("", message) for message in _unmeasured(name, found))

    def _shown(self) -> list[str]:
        words = [word for figure in self.figures for word in (figure.x, figure.y)]
        words += [word for test in self.tests for word in (test.x, test.y) if word is not None]
        return list(dict.fromkeys(word for word in words if word in COMPARED))

    def _unknown_words(self) -> Iterable[str]:
        for out in self.by:
            if out not in self.evaluations:
                yield f"by: {unknown('evaluation', out, self.evaluations)}"
        for name in self.factors:
            if name in COMPARED or name in SIZES:
                yield f"by: '{name}' is measured; give what was varied another name."
        values = (*COMPARED, *SIZES, *self.factors)
        for word in [word for figure in self.figures for word in (figure.x, figure.y)]:
            if word not in values:
                yield f"figures: {unknown('measure', word, values)}"
        for test in self.tests:
            for read in (test.y, test.x):
                if read is not None and read not in values:
                    yield f"tests: {unknown('measure', read, values)}"
            if test.against is not None and test.against not in self.evaluations:
                yield f"tests: {unknown('evaluation', test.against, self.evaluations)}"
        groups = [figure.group for figure in self.figures] + [test.factor for test in self.tests]
        for key in groups:
            if key is not None and key not in self.factors:
                yield f"group and factor: {unknown('key of `by`', key, self.factors)}"

    def _counted(self) -> Iterable[str]:
        if len(self.evaluations) < 2:
            yield f"evaluations: must name at least two, got {len(self.evaluations)}."
        repeated = sorted({out for out in self.evaluations if self.evaluations.count(out) > 1})
        if repeated:
            yield f"evaluations: must be named once each, got {', '.join(repeated)} twice."


def _unmeasured(name: str, evaluations: Sequence[Evaluate]) -> Iterator[str]:
    """A measure must be there in two evaluations at least; where it is not, the model is left out."""
    metrics = [place[0] for place in COMPARED[name].places]
    tasks = _NEED_TASK.get(name)
    measured = [other for other in evaluations if any(metric in other.metrics for metric in metrics)]
    outs = ", ".join(other.out for other in evaluations)
    needed = f"{name} must be measured in at least two of {outs}"
    if len(measured) < _FEWEST:
        yield f"{needed}: add {' or '.join(metrics)} to metrics."
    elif tasks is not None and sum(other.task in tasks for other in measured) < _FEWEST:
        yield f"{needed}: set task to {' or '.join(tasks)}."
