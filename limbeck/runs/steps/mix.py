"""`mix`: rows of several steps, all or in shares, one behind the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, concatenate_datasets

from limbeck.core.errors import RowError
from limbeck.core.seeds import generator
from limbeck.recipes.steps import Mix
from limbeck.rows.facts import Facts, facts_of, with_facts
from limbeck.rows.kinds import kind_of
from limbeck.runs import ranks
from limbeck.runs.checking.planned import PlannedStep, notes_of_step
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 1
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""

MIXED_FROM = "mixed_from"
"""Column that names the rows that a row is from."""


def run(step: Mix, work: StepContext) -> StepResult:
    """Write `rows/` into the step's folder."""
    made = _mix(step, work) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


def _mix(step: Mix, work: StepContext) -> StepResult:
    parts = {name: work.rows(name) for name in step.rows}
    check_kinds({name: part for name, part in parts.items() if len(part)})
    counts = step.counts({name: len(part) for name, part in parts.items()})
    taken = {name: _some(part, counts[name], name, step.seed) for name, part in parts.items()}
    if not any(counts.values()):
        raise RowError(f"mix must leave at least one row, got none of {', '.join(step.rows)}.")
    known: set[str] = set()
    mixed = []
    for name, part in taken.items():
        ids = [f"{name}:{one}" if one in known else one for one in part["id"]]
        known.update(ids)
        part = part.remove_columns("id").add_column("id", ids)
        mixed.append(part.add_column(MIXED_FROM, [name] * len(part)))
    whole = with_facts(concatenate_datasets(_aligned([part for part in mixed if len(part)])), _facts(parts))
    whole.save_to_disk(str(work.folder / "rows"))
    return StepResult(notes=(", ".join(f"{counts[name]:,} rows of {name}" for name in parts) + ".",))


def _some(rows: Dataset, count: int, name: str, seed: int) -> Dataset:
    if count == len(rows):
        return rows
    chosen = generator(seed, "mix", name).permutation(len(rows))[:count]
    return rows.select(sorted(chosen.tolist()))


def check_kinds(parts: Mapping[str, Dataset]) -> None:
    """Refuse rows of several kinds.

    Raises:
        RowError: says which rows are of which kind.
    """
    kinds = {name: kind_of(part.column_names) for name, part in parts.items()}
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{name}: {kind.value}" for name, kind in kinds.items())
        raise RowError(
            f"rows that are mixed must be of one kind, got {found}. Load them with columns that make them so "
            "(chat: true makes conversations of prompts and answers)."
        )


def _aligned(parts: Sequence[Dataset]) -> list[Dataset]:
    """The parts with one type for each column: turns of some have calls, of others they have none."""
    schemas = [part.features.arrow_schema.remove_metadata() for part in parts]
    try:
        found = Features.from_arrow_schema(pa.unify_schemas(schemas, promote_options="permissive"))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        why = " ".join(str(error).split())
        raise RowError(
            f"a column of rows that are mixed must be of one type in all of them, got several ({why}). "
            "Leave it out of one of them (ignore in its load step)."
        ) from None
    wanted = [Features({name: found[name] for name in part.column_names}) for part in parts]
    return [
        part if part.features == features else part.cast(features)
        for part, features in zip(parts, wanted, strict=True)
    ]


def _facts(parts: Mapping[str, Dataset]) -> Facts:
    """What is true of all parts together."""
    facts = [facts_of(part) for part in parts.values()]
    union: dict[str, Any] = {
        field: tuple(dict.fromkeys(one for fact in facts for one in getattr(fact, field)))
        for field in ("notes", "classes", "unread")
    }
    return Facts(**union, turned=any(fact.turned for fact in facts))


def look(at: Look, step: Mix) -> None:
    """Refuse rows that are there already and of several kinds; what is mixed of them is seen, too."""
    parts = {name: at.rows[name] for name in step.rows if name in at.rows}
    with at.at("rows"):
        check_kinds(parts)


def plan(step: Mix, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers, as far as the rows are there already."""
    lengths = {name: len(seen.rows[name]) for name in step.rows if name in seen.rows}
    count = sum(step.counts(lengths).values()) if len(lengths) == len(step.rows) else 0
    what = f"mixes {', '.join(step.rows)}"
    return PlannedStep(
        place, step.kind, step.out, what, rows=count, seconds=0.0, notes=notes_of_step(place, seen)
    )
