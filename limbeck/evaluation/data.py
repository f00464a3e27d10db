"""What the metrics are computed from: every subject reads the held-out rows once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import ConfigError, VocabularyError
from limbeck.core.examples import data_row
from limbeck.core.forward_model import project
from limbeck.core.kinds import ModelKind, kind_named
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.seeds import generator
from limbeck.evaluation.divergence import divergence, entropy
from limbeck.evaluation.settings import EvaluatedModel, EvaluationSettings
from limbeck.evaluation.statistics import Rows

# Elements of one [positions, V] chunk: 2 MB in float32, so that a chunk and its temporaries stay in the
# cache; but at least so many positions that a large head is not read anew for a handful of them.
_CHUNK_ELEMENTS = 1 << 19
_CHUNK_POSITIONS = 128
_TOP = 5

Array = NDArray[Any]


class Distances(NamedTuple):
    """How far a subject is from a teacher at every scored unit, each [N]; as in `Predictions`."""

    forward_kl: Array
    reverse_kl: Array
    js_distance: Array
    top5: Array


@dataclass
class Predictions:
    """What one subject said at every scored unit, each array [N].

    Attributes:
        nll: nats of the target.
        prediction: the likeliest outcome.
        confidence: its probability.
        entropy: of the whole distribution, nats; the teacher's only, as the next are not.
        forward_kl: KL(teacher || subject), nats.
        reverse_kl: KL(subject || teacher), nats.
        js_distance: base-2 Jensen-Shannon distance to the teacher.
        top5: share of the teacher's five likeliest outcomes that are among the subject's five.
        scores: [N, C] logits; kept for classifiers only.
        to_members: name of a member of the teacher -> `Distances`, of students.
    """

    nll: Array
    prediction: Array
    confidence: Array
    entropy: Array | None = None
    forward_kl: Array | None = None
    reverse_kl: Array | None = None
    js_distance: Array | None = None
    top5: Array | None = None
    scores: Array | None = None
    to_members: dict[str, Distances] = field(default_factory=dict)


@dataclass
class Units:
    """Every scored unit (a position in the loss, or an example of a classifier) of the held-out rows.

    Attributes:
        rows: row of each unit, with the resamples of the rows.
        ids: id of each row, by its index.
        target: [N] what must be predicted; `IGNORE` without label.
        place: [N] position within the row, counted from 0.
        judged: by name of the subject.
        complete: False when `max_positions` stopped the reading.
    """

    rows: Rows
    ids: list[str]
    target: Array
    place: Array
    judged: dict[str, Predictions]
    complete: bool

    def __len__(self) -> int:
        return len(self.target)


@dataclass
class EvaluationData:
    """All a metric may look at.

    Attributes:
        subjects: models to compare, teacher first.
        source: aligned batches of the held-out rows.
        rows: the held-out rows themselves, by id.
        settings: what is compared.
        progress: told the name of what is done and its share.
        by_row: what the metrics kept of single rows (see `keep`).
        others: the evidence of subjects that read the same rows by other tokens, one for each tokenizer.
        made: what one metric makes and others read, too, by its name.
        entries: of the source, to be read in this order; None: all, or drawn up to `max_positions`.
    """

    subjects: Sequence[EvaluatedModel]
    source: Source
    rows: Mapping[str, Mapping[str, Any]]
    settings: EvaluationSettings
    progress: Callable[[str, float], None] = field(default=lambda name, share: None)
    by_row: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    others: Sequence["EvaluationData"] = ()
    entries: Sequence[int] | None = None
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> ModelKind:
        """What the models are."""
        return kind_named(self.settings.kind)

    @property
    def everyone(self) -> list[EvaluatedModel]:
        """All subjects, whatever they read."""
        return [*self.subjects, *(subject for other in self.others for subject in other.subjects)]

    @property
    def teacher(self) -> EvaluatedModel | None:
        """The teacher, if there is one."""
        return next((subject for subject in self.subjects if subject.role == "teacher"), None)

    @property
    def students(self) -> list[EvaluatedModel]:
        """Students and baselines: everyone who is held against the teacher."""
        return [subject for subject in self.subjects if subject.role in ("student", "baseline")]

    @property
    def members(self) -> list[EvaluatedModel]:
        """The teachers of which the teacher is a mean, if it is one."""
        return [subject for subject in self.subjects if subject.role == "member"]

    @property
    def singles(self) -> list[EvaluatedModel]:
        """The subjects that are one model, and can be timed."""
        return [subject for subject in self.subjects if not subject.is_mean]

    @property
    def writers(self) -> list[EvaluatedModel]:
        """The subjects that complete prompts."""
        return [subject for subject in self.singles if subject.role != "member"]

    @property
    def pairs(self) -> list[tuple[EvaluatedModel, EvaluatedModel]]:
        """Every student with every baseline, whatever they read."""
        students = [subject for subject in self.everyone if subject.role == "student"]
        baselines = [subject for subject in self.everyone if subject.role == "baseline"]
        return [(student, baseline) for student in students for baseline in baselines]

    def keep(self, measure: str, subject: str, ids: Sequence[str], totals: Array, counts: Array) -> None:
        """Remember a measure of each row [rows] as total / count, for paired tests over rows."""
        self.by_row.setdefault(measure, {})[subject] = {
            name: float(total / count)
            for name, total, count in zip(ids, totals, counts, strict=True)
            if count > 0
        }

    def row_id(self, unit_id: str) -> str:
        """The id of the row that a window (`id#k`) or one side of a pair was made from."""
        return data_row(unit_id, self.rows)

    @cached_property
    def units(self) -> Units:
        """Every subject's reading of the positions in the loss (or examples); read once."""
        return _read(self)

    def batches(self) -> Iterator[tuple[Batch, float]]:
        """Batches of all entries, in random order under a cap, with the share read after each."""
        entries = np.arange(len(self.source)) if self.entries is None else np.asarray(self.entries)
        if self.settings.max_positions is not None and self.entries is None:
            entries = generator(self.settings.seed, "entries").permutation(entries)
        size = self.settings.batch_size
        for start in range(0, len(entries), size):
            chosen = entries[start : start + size].tolist()
            yield self.source.batch(chosen), min(1.0, (start + size) / len(entries))


@contextmanager
def reading(subjects: Sequence[EvaluatedModel]) -> Iterator[None]:
    """Evaluation mode without gradients; every module's mode is given back afterwards."""
    modes = [(module, module.training) for subject in subjects for module in subject.model.modules()]
    for subject in subjects:
        subject.model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def device_of(subject: EvaluatedModel) -> torch.device:
    """Where the subject's weights are."""
    return next(subject.model.parameters()).device


def segments(batch: Batch) -> tuple[Array, Array]:
    """For every output position [B, T]: which data row of its batch row it is in, and its place there.

    A packed batch restarts `position_ids` at each data row; any other batch has one data row a row.
    """
    if batch.targets is None:
        raise ConfigError("the held-out rows must have targets, got none. Load rows with text or labels.")
    shape = tuple(batch.targets.shape)
    if batch.per_row:
        return np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    positions = batch.inputs.get("position_ids")
    if positions is None or tuple(positions.shape) != shape:
        places = np.broadcast_to(np.arange(shape[1]), shape)
        return np.zeros(shape, dtype=np.int64), places
    places = positions.cpu().numpy()
    return np.maximum((places == 0).cumsum(axis=1) - 1, 0), places


def _read(evidence: EvaluationData) -> Units:
    settings, subjects = evidence.settings, evidence.subjects
    numbers: dict[str, int] = {}
    found: list[tuple[Array, Array, Array]] = []
    judged: dict[str, list[Predictions]] = {subject.name: [] for subject in subjects}
    scored, complete = 0, True
    with reading(subjects):
        for batch, share in evidence.batches():
            kept, row, place, target = _scored(batch, evidence, numbers)
            answers = [_answer(subject, batch, kept) for subject in subjects]
            for subject, part in zip(
                subjects, _judge(answers, subjects, target, evidence.kind.has_classes), strict=True
            ):
                judged[subject.name].append(part)
            found.append((row, place, target))
            scored += len(target)
            evidence.progress("reading", share)
            is_capped = settings.max_positions is not None and evidence.entries is None
            if is_capped and scored >= (settings.max_positions or 0):
                complete = share >= 1
                break
    if not scored:
        raise ConfigError(
            "the held-out rows must hold at least one target token, got none. Hold out rows with text."
        )
    complete &= evidence.entries is None or len(evidence.entries) == len(evidence.source)
    row, place, target = (np.concatenate(parts) for parts in zip(*found, strict=True))
    rows = Rows(row, resamples=settings.resamples, seed=settings.seed)
    return Units(
        rows, list(numbers), target, place, {name: _joined(parts) for name, parts in judged.items()}, complete
    )


def _scored(
    batch: Batch, evidence: EvaluationData, numbers: dict[str, int]
) -> tuple[Array, Array, Array, Array]:
    """Flat places of the scored units, and of each its row number, place in the row and target."""
    segment, place = segments(batch)
    assert batch.targets is not None
    target = batch.targets.cpu().numpy()
    # A classifier's examples count without a label too: loyalty needs none.
    kept = np.flatnonzero(target.reshape(-1) != IGNORE) if batch.per_token else np.arange(target.size)
    width = target.shape[1] if batch.per_token else 1
    row = np.empty(len(kept), dtype=np.int64)
    for at, flat in enumerate(kept.tolist()):
        unit = batch.row_ids[flat // width][segment.reshape(-1)[flat]]
        row[at] = numbers.setdefault(evidence.row_id(unit), len(numbers))
    return kept, row, place.reshape(-1)[kept], target.reshape(-1)[kept]


def _answer(subject: EvaluatedModel, batch: Batch, kept: Array) -> Callable[[slice], Tensor]:
    """The subject's logits [n, V] of a slice of the scored units, projected when asked for."""
    device = device_of(subject)
    batch = batch.to(device)
    if subject.answer is not None:
        outputs = subject.answer(batch)
    else:
        outputs = subject.reader.read(batch.inputs, DISTRIBUTION)
    places = torch.from_numpy(kept).to(device)
    if outputs.hidden is not None and outputs.head is not None:
        head = outputs.head
        hidden = outputs.hidden.reshape(-1, outputs.hidden.shape[-1])[places]
        return lambda part: project(hidden[part], head).float()
    assert outputs.logits is not None
    logits = outputs.logits.reshape(-1, outputs.logits.shape[-1])[places]
    return lambda part: logits[part].float()


def _judge(
    answers: Sequence[Callable[[slice], Tensor]],
    subjects: Sequence[EvaluatedModel],
    target: Array,
    keep: bool,
) -> list[Predictions]:
    """What each subject says of the units of a batch; the teacher's distribution is made once a chunk."""
    if not len(target):
        return [_joined([]) for _ in subjects]
    size = max(_CHUNK_POSITIONS, _CHUNK_ELEMENTS // answers[0](slice(0, 1)).shape[-1])
    parts: list[list[Predictions]] = [[] for _ in subjects]
    for start in range(0, len(target), size):
        part = slice(start, start + size)
        guides: dict[str, _Guide] = {}
        for place, (subject, answer) in enumerate(zip(subjects, answers, strict=True)):
            scores = answer(part)
            log_probs = scores.log_softmax(-1)
            is_guide = subject.role in ("teacher", "member")
            held_against = {} if subject.role == "teacher" else guides
            if subject.role == "member":
                held_against = {name: one for name, one in guides.items() if one.is_teacher}
            said, likeliest = _said(scores, log_probs, target[part], held_against, keep)
            parts[place].append(said)
            if is_guide:
                guides[subject.name] = _Guide(log_probs, likeliest, subject.role == "teacher")
            if subject.role == "teacher":
                said.entropy = _numbers(entropy(log_probs))
    return [_joined(chunks) for chunks in parts]


class _Guide(NamedTuple):
    """Whom a chunk's students are held against: log-probabilities [n, V] and likeliest outcomes [n, 5]."""

    log_probs: Tensor
    likeliest: Tensor
    is_teacher: bool


def _said(
    scores: Tensor, log_probs: Tensor, target: Array, guides: Mapping[str, _Guide], keep: bool
) -> tuple[Predictions, Tensor]:
    """What one subject says of a chunk of units, and its likeliest outcomes [n, 5]."""
    width = log_probs.shape[-1]
    for guide in guides.values():
        if guide.log_probs.shape[-1] != width:
            raise VocabularyError(
                f"teacher and student must score the same outcomes, got {guide.log_probs.shape[-1]} and "
                f"{width}. Give both readers the shared vocabulary."
            )
    # A regression's target is no class, and neither is an example's without a label.
    is_class = (target != IGNORE) & (width > 1)
    if is_class.any() and not 0 <= target[is_class].min() <= target[is_class].max() < width:
        raise VocabularyError(
            f"targets must lie between 0 and {width - 1}, got {target[is_class].min():g} to "
            f"{target[is_class].max():g}. Evaluate with the tokenizer and labels of the model."
        )
    wanted = torch.from_numpy(np.where(is_class, target, 0)).long().to(log_probs.device)
    best, likeliest = log_probs.topk(min(_TOP, width), dim=-1)
    judged = Predictions(
        nll=_numbers(-log_probs.gather(-1, wanted[:, None])[:, 0]),
        prediction=likeliest[:, 0].cpu().numpy(),
        confidence=_numbers(best[:, 0].exp()),
        scores=scores.cpu().numpy() if keep else None,
    )
    for name, guide in guides.items():
        found = _distances(log_probs, likeliest, guide)
        if guide.is_teacher:
            judged.forward_kl, judged.reverse_kl, judged.js_distance, judged.top5 = found
        else:
            judged.to_members[name] = found
    return judged, likeliest


def _distances(log_probs: Tensor, likeliest: Tensor, guide: _Guide) -> Distances:
    forward, reverse, apart = map(_numbers, divergence(log_probs, guide.log_probs.to(log_probs.device)))
    theirs = guide.likeliest.to(log_probs.device)
    shared = (likeliest[:, :, None] == theirs[:, None, :]).any(-1)
    return Distances(forward, reverse, apart, _numbers(shared.double().mean(-1)))


def _numbers(values: Tensor) -> Array:
    return values.double().cpu().numpy()


def _joined(parts: Sequence[Predictions]) -> Predictions:
    whole = [part for part in parts if len(part.nll)]

    def join(name: str) -> Any:
        values = [getattr(part, name) for part in whole]
        if not values:
            return np.empty(0)
        return None if values[0] is None else np.concatenate(values)

    plain = {name: join(name) for name in Predictions.__dataclass_fields__ if name != "to_members"}
    named = {
        name: Distances(*(np.concatenate(column) for column in zip(*lines, strict=True)))
        for name in (whole[0].to_members if whole else ())
        for lines in [[part.to_members[name] for part in whole]]
    }
    return Predictions(**plain, to_members=named)
