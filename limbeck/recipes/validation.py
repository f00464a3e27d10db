"""What a train step measures while it trains."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from limbeck.core.catalogue import catalogue
from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.recipes.named_models import Word
from limbeck.recipes.references import Names

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class Validation(Config):
    """What is measured while training, on rows apart: metrics that schedules and figures can follow."""

    rows: Annotated[str, Names("rows", instead="validation")]
    every: int = Field(default=100, ge=1, description="optimizer steps")
    loss: bool = Field(default=True, description="validation_loss: the terms that learn from data")
    distances: Annotated[dict[str, Word], Names("model")] = Field(
        default_factory=dict, description="name: model; mean divergence between that model and the student"
    )
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = Field(
        default="forward_kl", description="of the distances; forward_kl is KL(model || student)"
    )
    written_by: Literal["data", "student"] = Field(
        default="data", description="whose answers distances are measured on; student: fresh ones"
    )
    perplexities_by: Annotated[str | None, Names("column")] = Field(
        default=None, description="column of domains; also of the teacher"
    )
    limit: int = Field(default=64, ge=1, description="rows looked at, of each domain for perplexities")
    max_new_tokens: int = Field(default=64, ge=1, description="of the student's answers")


def validation_problems(step: "Train") -> Iterator[Problem]:
    """What a step follows while it trains, and does not measure."""
    validation = step.validation
    names = (f"{term.name}_{term.on}" if term.on else term.name for term in step.objective)
    measured = {"loss", *names, *(f"{party}/loss" for party in step.parties)}
    if validation is not None:
        measured |= {*validation.distances, *(("validation_loss",) if validation.loss else ())}
    for where, value, own in _schedules(step):
        entry = catalogue("schedules").get(str(value.get("schedule")))
        monitored = None if entry is None else value.get("monitor", entry.keywords.get("monitor"))
        if monitored is None or (monitored == "own" and own) or monitored in measured:
            continue
        if monitored == "validation_loss":
            instead = "add validation: {rows: rows.validation}"
        else:
            instead = f"take one of {', '.join(sorted(measured))}"
        yield Problem(where, f"monitors {monitored}, which this step does not measure: {instead}.")
    if validation is not None and step.teacher is None and validation.perplexities_by is not None:
        yield Problem("validation.perplexities_by", "compares with a teacher: give the step a teacher.")


def _schedules(step: "Train") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Where a schedule is, what it says, and whether it has a term of its own."""
    values: list[tuple[str, Any, bool]] = []
    for place, term in enumerate(step.objective):
        named = {"weight": term.weight, **term.options}
        if term.trainable is not None:
            named["trainable.gradient_scale"] = term.trainable.gradient_scale
        values += [(f"objective.{place}.{name}", value, True) for name, value in named.items()]
    written = {} if step.rollouts is None else step.rollouts.shares
    values += [(f"rollouts.{name}", value, False) for name, value in written.items()]
    yield from ((where, value, own) for where, value, own in values if isinstance(value, dict))
