"""Terms of a recipe as the engine takes them, and a trial of each on a few random numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError, Problem, UserError
from limbeck.core.seeds import derived_seed
from limbeck.core.signals import SIGNALS, Trial
from limbeck.core.term import LayerMap, Term, Trainable
from limbeck.objectives.gradients import signals_of, trainable_values
from limbeck.objectives.means import unit_of
from limbeck.recipes.terms import Term as TermPart
from limbeck.recipes.terms import Trainable as LearntPart
from limbeck.schedules.scheduled import scheduled

_STEPS = 10  # of the trial: schedules are tried at their first and last step


def build_terms(
    terms: Sequence[TermPart],
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
                mean=term.mean,
                weighted_by=term.weighted_by,
                trainable=None
                if term.trainable is None
                else _trainable(term.trainable, widths, derived_seed(drawn_from, "learnt", len(built))),
            )
        )
    return built


def _trainable(part: LearntPart, widths: Mapping[str, int | None], seed: int) -> Trainable:
    entry = catalogue("objectives/trainable")[part.module]
    known = {name: width for name, width in widths.items() if name in entry.keywords and width is not None}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = entry.load()(**{**known, **part.options})
    return Trainable(module, part.learning_rate, scheduled(part.gradient_scale))


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
    module = None if term.trainable is None else term.trainable.module
    trial = Trial(
        layers=len(term.layers.student) if term.layers else 1,
        student_width=student_width,
        teacher_width=teacher_width,
        whole_rows=not term.pointwise and not by_row,
        stored=stored,
    )
    for step in (0, _STEPS - 1):
        try:
            weight = term.weight_at(step, _STEPS)
            if not -float("inf") < weight < float("inf"):
                raise ConfigError(f"weight must be finite, got {weight}.")
            read = dict.fromkeys((*term.signals, *signals_of(module)))
            signals = {name: SIGNALS[name].trial(trial) for name in read}
            options = {**term.hyperparameters_at(step, _STEPS), **trainable_values(module, signals)}
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


def reads_whole_rows(terms: Sequence[TermPart]) -> bool:
    """Whether an objective may compare what stands in a row, so that rows cannot share packs."""
    return any(not SIGNALS[name].in_packs for term in terms for name in term.signals)


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


def _options(term: Term) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in term.hyperparameters.items()) or "its defaults"
