"""Terms of a recipe as the engine takes them, and a trial of each on a few random numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError, Problem, UserError
from limbeck.core.seeds import derived_seed
from limbeck.core.signals import BATCH_SIGNALS, POINTWISE, QKV, Head, Space, TopK
from limbeck.core.term import LayerMap, Learnt, Term
from limbeck.core.units import Unit
from limbeck.objectives.gradients import learnt_values
from limbeck.objectives.means import CHUNKS, unit_of
from limbeck.recipes import terms as parts
from limbeck.schedules.scheduled import scheduled

_STEPS = 10  # of the trial: schedules are tried at their first and last step
_ROWS, _TOKENS, _CLASSES = 2, 4, 5
_CHUNK_SIGNALS = {"student_chunks", "student_chunk_states", *CHUNKS}


def build_terms(
    terms: Sequence[parts.Term],
    *,
    student_width: int | None = None,
    teacher_width: int | None = None,
    seed: int | None = None,
) -> list[Term]:
    """The terms with their functions and schedules; names are made unique by task, then by number.

    What is learnt beside the student may have the widths of both models; a recipe need not say them. It is
    drawn from `seed` (None: the one that torch was last given), each module for itself, whatever was drawn
    before.
    """
    widths = {"student_width": student_width, "teacher_width": teacher_width}
    names = [f"{term.name}_{term.on}" if term.on else term.name for term in terms]
    seen: Counter[str] = Counter()
    built: list[Term] = []
    drawn_from = torch.initial_seed() if seed is None else seed
    for term, name in zip(terms, names, strict=True):
        seen[name] += 1
        built.append(
            Term(
                name=name if seen[name] == 1 else f"{name}_{seen[name]}",
                objective=catalogue("objectives")[term.name].load(),
                signals=term.signals,
                weight=scheduled(term.weight),
                hyperparameters={key: scheduled(value) for key, value in term.options.items()},
                on=term.on,
                layers=None if term.layers is None else LayerMap(term.layers.student, term.layers.teacher),
                mean=Unit(term.mean),
                weighted_by=term.weighted_by,
                learnt=None
                if term.learnt is None
                else _learnt(term.learnt, widths, derived_seed(drawn_from, "learnt", len(built))),
            )
        )
    return built


def _learnt(part: parts.Learnt, widths: Mapping[str, int | None], seed: int) -> Learnt:
    entry = catalogue("objectives/learnt")[part.module]
    known = {name: width for name, width in widths.items() if name in entry.keywords and width is not None}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = entry.load()(**{**known, **part.options})
    return Learnt(module, part.learning_rate, scheduled(part.gradient_scale))


def try_term(
    term: Term, *, student_width: int, teacher_width: int, stored: bool = False, by_row: bool = False
) -> None:
    """Call the objective once at both ends of its schedules, so that a value out of range is found now.

    Args:
        term: to try.
        student_width: of its hidden states.
        teacher_width: of its hidden states.
        stored: the teacher is a top-k store.
        by_row: rows have one target each (classifiers).

    Raises:
        ConfigError: what the objective says about its hyperparameters or the widths; its values are of no
            unit, or of one that has no group or weight of its own.
    """
    signals = _signals(len(term.layers.student) if term.layers else 1, student_width, teacher_width)
    if not term.pointwise and not by_row:
        signals |= _neighbours()
    if stored:
        signals["teacher_logits"] = signals["teacher_topk"] = _topk()
    for step in (0, _STEPS - 1):
        try:
            weight = term.weight_at(step, _STEPS)
            if not -float("inf") < weight < float("inf"):
                raise ConfigError(f"weight must be finite, got {weight}.")
            module = None if term.learnt is None else term.learnt.module
            options = {**term.hyperparameters_at(step, _STEPS), **learnt_values(module, signals)}
            values = term.objective(*(signals[name] for name in term.signals), **options)
            if not term.pointwise:
                unit_of(values, term)
        except UserError as error:
            raise ConfigError([Problem(term.name, problem.message) for problem in error.problems]) from None
        except (TypeError, ValueError, RuntimeError) as error:
            first = str(error).strip().split("\n")[0]
            raise ConfigError(
                Problem(term.name, f"cannot be computed with {_options(term)}: {first}")
            ) from None


def reads_whole_rows(terms: Sequence[parts.Term]) -> bool:
    """Whether an objective may compare what stands in a row, so that rows cannot share packs."""
    return any(not set(term.signals) <= POINTWISE | _CHUNK_SIGNALS for term in terms)


def check_layers(whose: str, layers: tuple[int, ...], depth: int) -> None:
    """Refuse matched layers that a model of this depth does not have."""
    outside = [layer for layer in layers if not -depth <= layer < depth]
    if outside:
        raise ConfigError(
            Problem(
                f"layers.{whose}",
                f"must lie between {-depth} and {depth - 1}, the {whose} has {depth} layers, got "
                f"{', '.join(map(str, outside))}.",
            )
        )


def _signals(layers: int, student_width: int, teacher_width: int) -> dict[str, Any]:
    random = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    def qkv(width: int) -> QKV:
        return QKV(*(numbers(_ROWS, _TOKENS, width) for _ in range(3)))

    def space(width: int) -> Space:
        hidden, read, predicted = (numbers(_ROWS, _TOKENS, width) for _ in range(3))
        labels = torch.arange(_ROWS * _TOKENS).view(_ROWS, _TOKENS) % _CLASSES
        return Space(hidden, read, predicted, labels, Head(numbers(_CLASSES, width)))

    return {
        "student_logits": numbers(_ROWS, _CLASSES),
        "teacher_logits": numbers(_ROWS, _CLASSES),
        "teacher_own_logits": numbers(_ROWS, _CLASSES + 2),
        "student_chunks": -numbers(_ROWS).abs(),
        "teacher_chunks": -numbers(_ROWS).abs(),
        "student_chunk_states": numbers(_ROWS, layers, student_width),
        "teacher_chunk_states": numbers(_ROWS, layers, teacher_width),
        "labels": torch.arange(_ROWS),
        **{name: numbers(_ROWS) for name in BATCH_SIGNALS},
        "student_states": numbers(_ROWS, layers, _TOKENS, student_width),
        "teacher_states": numbers(_ROWS, layers, _TOKENS, teacher_width),
        "student_qkv": qkv(student_width),
        "teacher_qkv": qkv(teacher_width),
        "student_space": space(student_width),
        "teacher_space": space(teacher_width),
        "attention_mask": torch.ones(_ROWS, _TOKENS, dtype=torch.long),
    }


def _neighbours() -> dict[str, Tensor]:
    """What stands at positions, of all of them: an objective that reads whole rows gets it so."""
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(2, _ROWS, _TOKENS, _CLASSES, generator=random)
    spans = torch.zeros(_ROWS, _TOKENS, dtype=torch.long)
    numbers = {name: torch.randn(_ROWS, _TOKENS, generator=random) for name in BATCH_SIGNALS}
    labels = torch.arange(_ROWS * _TOKENS).view(_ROWS, _TOKENS) % _CLASSES
    scored = {"student_logits": scores[0], "teacher_logits": scores[1], "labels": labels}
    return {**scored, **numbers, "spans": spans}


def _topk() -> TopK:
    ids = torch.arange(2).expand(_ROWS, 2)
    return TopK(ids, torch.full((_ROWS, 2), 0.25).log(), torch.full((_ROWS,), 0.5).log())


def _options(term: Term) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in term.hyperparameters.items()) or "its defaults"
