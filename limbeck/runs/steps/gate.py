"""`gate`: gates judge rows some at a time; every row keeps what was said of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datasets import Dataset, Value

from limbeck.core.asking import Reply, Request
from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.files import write_json
from limbeck.core.kinds import kind_named
from limbeck.core.lineage import VERDICTS
from limbeck.core.prompting import prompt_problems
from limbeck.gates import judging
from limbeck.gates.judging import Judging, Needs
from limbeck.gates.reading import group_of
from limbeck.recipes.steps import Gate
from limbeck.recipes.steps.gate import REJECTED
from limbeck.runs import ranks
from limbeck.runs.assembly.answer_scorer import AnswerScorer
from limbeck.runs.assembly.asking import finished, open_asks
from limbeck.runs.assembly.eliciting.draws import Counted
from limbeck.runs.assembly.eliciting.tally import Tally
from limbeck.runs.assembly.pair_classifier import PairClassifier
from limbeck.runs.assembly.teachers import ASKED_TEACHERS
from limbeck.runs.checking.planned import PlannedStep, notes_of_step, read_bytes
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 1
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""

YIELD = "yield.json"
JUDGE = "judge"
_TRIED = 32  # rows of which the plan makes a judge's requests
_CHUNK = 256  # rows in memory at a time, where the gates allow it; an interruption waits for them


def run(step: Gate, work: StepContext) -> StepResult:
    """Write `rows/`, `rejected/` and `yield.json` into the step's folder."""
    made = finished(_gate(step, work)) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


async def _gate(step: Gate, work: StepContext) -> StepResult:
    rows = work.rows(step.rows)
    async with open_asks({} if step.judge is None else {JUDGE: step.judge}, work) as asked:
        judge, tally = asked.get(JUDGE), Tally()
        needs = replace(_needs(step, work), ask=None if judge is None else Counted(judge, 0, 0, tally))
        chain = Judging(step.called, needs, keep=step.keep)
        verdicts, accepted = await judge_all(chain, rows, lambda share: work.advance(share, "judging"))
        totals = tally.totals(sum(accepted), None if judge is None else judge.currency)
    judged = with_column(rows, verdicts)
    for folder, places in (
        ("rows", [place for place, is_in in enumerate(accepted) if is_in]),
        (REJECTED, [place for place, is_in in enumerate(accepted) if not is_in]),
    ):
        part = judged.select(places)
        part.save_to_disk(str(work.folder / folder), num_shards=None if len(part) else 1)
    found = {**yield_of(chain, accepted), **totals}
    write_json(work.folder / YIELD, found)
    if not any(accepted):
        said = "; ".join(said_of_gates(found))
        raise RowError(
            f"gates must let at least one row of {step.rows} through, got none of {len(rows):,}. {said} They "
            f"lie with their verdicts in {work.folder / REJECTED}. Look at them, and loosen a gate."
        )
    return StepResult(
        tokens=tally.tokens_out,
        notes=(f"{sum(accepted):,} of {len(rows):,} rows pass.", *said_of_gates(found)),
    )


async def judge_all(
    chain: Judging, rows: Dataset, tell: Callable[[float], None] = lambda share: None
) -> tuple[list[str], list[bool]]:
    """For all rows in their order: their verdicts as the column holds them, and whether they pass."""
    verdicts, accepted = [""] * len(rows), [False] * len(rows)
    done = 0
    for places in _chunks(chain, rows):
        chunk = [rows[place] for place in places]
        for place, one in zip(places, await chain.judged(chunk), strict=True):
            verdicts[place], accepted[place] = one.row[VERDICTS], one.accepted
        done += len(places)
        tell(done / len(rows))
    return verdicts, accepted


def _chunks(chain: Judging, rows: Dataset) -> Iterator[list[int]]:
    """Places of rows that are judged at a time: all answers to a question in one, where gates need that."""
    if chain.judges_all:
        yield list(range(len(rows)))
    elif not chain.judges_groups:
        for start in range(0, len(rows), _CHUNK):
            yield list(range(start, min(start + _CHUNK, len(rows))))
    else:
        groups: dict[str, list[int]] = {}
        for place in range(len(rows)):
            groups.setdefault(group_of(rows[place]), []).append(place)
        chunk: list[int] = []
        for group in groups.values():
            chunk += group
            if len(chunk) >= _CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def with_column(rows: Dataset, verdicts: Sequence[str]) -> Dataset:
    """The rows with the column of verdicts, in the place of one they had."""
    if VERDICTS in rows.column_names:
        rows = rows.remove_columns([VERDICTS])
    return rows.add_column(VERDICTS, list(verdicts), feature=Value("string"))


def yield_of(chain: Judging, accepted: Sequence[bool]) -> dict[str, Any]:
    """What `yield.json` says of rows and gates."""
    return {
        "candidates": len(accepted),
        "accepted": sum(accepted),
        "failed": 0,
        "gates": chain.counts(),
        "spreads": chain.spreads(),
    }


def said_of_gates(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each gate that refused rows."""
    said = []
    for gate in found["gates"]:
        if gate["rejected"]:
            reasons = ", ".join(f"{reason} {number:,}" for reason, number in gate["reasons"].items())
            said.append(f"{gate['gate']} refused {gate['rejected']:,} of {gate['judged']:,}: {reasons}.")
    return said


def _needs(step: Gate, work: StepContext) -> Needs:
    against = [row for name in step.against for row in work.rows(name)]
    classifier = scorer = None
    how = {"max_length": step.max_length, "batch_size": step.batch_size}
    if step.classifier is not None:
        model = work.load_model(step.classifier, "classifier")
        classifier = PairClassifier(model, work.load_tokenizer(step.classifier), **how)
    if step.scorer is not None:
        scorer = AnswerScorer(work.load_model(step.scorer, "causal"), work.load_tokenizer(step.scorer), **how)
    return Needs(against=against if step.against else None, classifier=classifier, scorer=scorer)


def look(at: Look, step: Gate) -> None:
    """Refuse settings that a gate cannot work with, columns that are not there, and models of other kinds."""
    _look_at_model(at, step.classifier, "classifier", "classifier")
    _look_at_model(at, step.scorer, "scorer", "causal")
    stubs = Needs(against=[], classifier=lambda pairs: [], scorer=lambda pairs: [], ask=_never)
    for place, gate in enumerate(step.called):
        with at.at(f"gates.{place}"):
            Judging([gate], stubs).rehearse()
    if step.judge is not None:
        with at.at():
            ASKED_TEACHERS[type(step.judge)].check_asked(at, step.judge, "judge")
    if step.rows in at.rows:
        rows = at.rows[step.rows]
        _look_at_judging(at, step, rows)
        problems = list(step.column_problems(rows.column_names))
        if problems:
            with at.at():
                raise ConfigError(problems)
    at.note(*_said_of_order(step))


async def _never(request: Request) -> Reply:
    raise AssertionError("no row is judged in a plan")


def _look_at_judging(at: Look, step: Gate, rows: Dataset) -> None:
    """What prompts of judges lack, and what all their requests would cost."""
    problems, requests = [], []
    for place, gate in enumerate(step.called):
        if "ask" not in gate.uses:
            continue
        found = prompt_problems(gate.entry.load(), gate.options, rows.column_names)
        problems += [Problem(f"gates.{place}.{one.where}", one.message) for one in found]
        if not found:
            requests += finished(_asked(gate, list(rows.select(range(min(len(rows), _TRIED))))))
    if problems:
        with at.at():
            raise ConfigError(problems)
    if step.judge is not None and requests:
        way = ASKED_TEACHERS[type(step.judge)]
        sent = [way.request_of(step.judge, one) for one in requests]
        with at.at():
            way.check_requests(at, step.judge, sent, "judge")
        calls = round(len(requests) / min(len(rows), _TRIED) * len(rows))
        at.note(*way.said_of_cost(at, step.judge, sent, calls))


async def _asked(gate: judging.Gate, rows: Sequence[Mapping[str, Any]]) -> list[Request]:
    """What a gate would ask about rows."""
    found: list[Request] = []

    async def listen(request: Request) -> Reply:
        found.append(request)
        return Reply("")

    await Judging([gate], Needs(ask=listen)).judged(rows)
    return found


def _look_at_model(at: Look, word: str | None, field: str, wanted: str) -> None:
    shape = None if word is None else at.info(word, field)
    if shape is None:
        return
    kind = None if shape.kind is None else kind_named(shape.kind).name
    if kind != wanted:
        got = "one whose class does not say" if kind is None else kind
        at.seen.problems.note(
            ConfigError(Problem(field, f"must be a {wanted} model, got {got}. Name another one.")), at.where
        )
    elif wanted == "classifier" and not shape.classes:
        at.seen.problems.note(
            ConfigError(Problem(field, f"must be tuned to classes, got {word} without a class head.")),
            at.where,
        )


def _said_of_order(step: Gate) -> Iterator[str]:
    """Gates that remember rows before others that refuse some."""
    remembers = [gate for gate in step.called if gate.remembers_rows]
    if step.keep == "all" and remembers and step.called[-1] not in remembers:
        yield (
            f"{remembers[0].name} remembers rows that later gates refuse, and refuses others for being like "
            "them; as the last gate it would not."
        )


def plan(step: Gate, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    rows = seen.rows.get(step.rows)
    models = [word for word in (step.classifier, step.scorer) if word is not None]
    return PlannedStep(
        place,
        step.kind,
        step.out,
        f"{', '.join(one.name for one in step.gates)} judge {step.rows}",
        rows=None if rows is None else len(rows),
        memory=read_bytes(models, seen),
        disk=0 if rows is None else int(rows.data.nbytes),
        notes=notes_of_step(place, seen),
    )
