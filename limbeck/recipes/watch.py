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


class Watch(Config):
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


def watching_problems(step: "Train") -> Iterator[Problem]:
    """What a step follows while it trains, and does not measure."""
    watch = step.watch
    names = (f"{term.name}_{term.on}" if term.on else term.name for term in step.objective)
    measured = {"loss", *names, *(f"{party}/loss" for party in step.parties)}
    if watch is not None:
        measured |= {*watch.distances, *(("validation_loss",) if watch.loss else ())}
    for where, value, own in _schedules(step):
        entry = catalogue("schedules").get(str(value.get("schedule")))
        watched = None if entry is None else value.get("watch", entry.keywords.get("watch"))
        if watched is None or (watched == "own" and own) or watched in measured:
            continue
        if watched == "validation_loss":
            instead = "add watch: {rows: rows.validation}"
        else:
            instead = f"take one of {', '.join(sorted(measured))}"
        yield Problem(where, f"watches {watched}, which this step does not measure: {instead}.")
    if watch is not None and step.teacher is None and watch.perplexities_by is not None:
        yield Problem("watch.perplexities_by", "compares with a teacher: give the step a teacher.")


def _schedules(step: "Train") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Where a schedule is, what it says, and whether it has a term of its own."""
    values: list[tuple[str, Any, bool]] = []
    for place, term in enumerate(step.objective):
        named = {"weight": term.weight, **term.options}
        if term.learnt is not None:
            named["learnt.gradient_scale"] = term.learnt.gradient_scale
        values += [(f"objective.{place}.{name}", value, True) for name, value in named.items()]
    written = {} if step.rollouts is None else step.rollouts.shares
    values += [(f"rollouts.{name}", value, False) for name, value in written.items()]
    yield from ((where, value, own) for where, value, own in values if isinstance(value, dict))
