"""Batches of a step: which rendering a model of its kind reads, and how rows are put together."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from datasets import Dataset

from limbeck.core.batch import Batch, Source
from limbeck.core.decoder_start import decoder_start
from limbeck.core.files import cache_folder
from limbeck.core.fingerprint import fingerprint, tokenizer_fingerprint
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.seeds import generator
from limbeck.recipes.steps import Build, Capture, Evaluate, Train
from limbeck.rows.aligned.pairs import Pair, render_pair
from limbeck.rows.drawn import DrawnSource
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering, Task
from limbeck.rows.source import PackedSource, PaddedSource
from limbeck.rows.text_kind import text_kind
from limbeck.runs.assembly.terms import reads_whole_rows

ENTRIES = 4
"""Of a batch that is read to prune by; with 16 the pruned code teacher starts worse (docs/log.md)."""


class Renderer:
    """Renders rows once for all steps that read them alike."""

    def __init__(self) -> None:
        self._rendered: dict[tuple[str, str, Rendering], Dataset] = {}
        self._pairs: dict[tuple[Any, ...], Pair] = {}

    def render(self, reference: str, rows: Dataset, tokenizer: Any, rendering: Rendering) -> Dataset:
        """The rows called `reference` as token ids (see `rows.render.render`)."""
        key = (reference, _fingerprint(tokenizer), rendering)
        if key not in self._rendered:
            self._rendered[key] = render(rows, tokenizer, rendering)
        return self._rendered[key]

    def render_pair(
        self,
        reference: str,
        rows: Dataset,
        tokenizer: Any,
        teacher_tokenizer: Any,
        rendering: Rendering,
        *,
        teacher_length: int | None,
    ) -> Pair:
        """The rows in the tokens of two tokenizers (see `rows.aligned.pairs.render_pair`)."""
        sides = (_fingerprint(tokenizer), _fingerprint(teacher_tokenizer))
        key = (reference, *sides, rendering, teacher_length)
        if key not in self._pairs:
            self._pairs[key] = render_pair(
                rows,
                tokenizer,
                teacher_tokenizer,
                rendering,
                teacher_max_length=teacher_length,
                cache=cache_folder() / "aligned",
            )
        return self._pairs[key]


def _fingerprint(tokenizer: Any) -> str:
    return fingerprint([tokenizer_fingerprint(tokenizer), str(tokenizer.chat_template)])


class TaskPairs:
    """One data row an entry: the examples of all its tasks are in the same batch.

    As `TaskPrefixDataCollator` of distilling step-by-step does it: a batch of n rows holds n
    labels and n rationales, so that both means are over the same rows. In the same way n pairs of
    answers give n chosen and n rejected ones.

    Args:
        source: one example an entry.
        members: for every data row, the entries of `source` made from it.
    """

    def __init__(self, source: PaddedSource, members: Sequence[Sequence[int]]) -> None:
        self._source = source
        self.members = members
        self.lengths = [sum(source.lengths[entry] for entry in row) for row in members]

    def __len__(self) -> int:
        return len(self.members)

    def fingerprint(self) -> str:
        """Equal for equal examples in equal rows."""
        return fingerprint([type(self).__name__, self._source.fingerprint(), self.members])

    def batch(self, indices: Sequence[int]) -> Batch:
        """All examples of the rows at `indices`."""
        return self._source.batch([entry for index in indices for entry in self.members[index]])


def entries_of(source: Source) -> list[list[int]]:
    """For every entry of a training's source, the rendered examples that it holds."""
    if isinstance(source, PackedSource):
        return source.packs
    if isinstance(source, TaskPairs):
        return [list(examples) for examples in source.members]
    return [[example] for example in range(len(source))]


def rendering_of(
    step: Train | Evaluate | Capture, kind: KindName, *, task: Task, label_names: tuple[str, ...]
) -> Rendering:
    """The choices of a step in turning rows into token ids."""
    return Rendering(
        model_kind=kind,
        max_length=step.max_length,
        max_target_length=step.max_target_length,
        task=task,
        loss_on=step.loss_on,
        label_names=label_names if kind_named(kind).has_classes else (),
    )


def training_source(
    rendered: Dataset,
    rendering: Rendering,
    step: Train,
    tokenizer: Any,
    config: Any,
    apart: Sequence[str] | None = None,
) -> Source:
    """What the engine draws from: packs for causal models, rows otherwise; examples of one row together.

    Rows stay alone, too, where rollouts take their places or an objective reads whole rows, and the two
    answers of a preference: a pack could hold one of them without the other. So they do where their order
    counts. Rows of different `apart` share no pack.
    """
    pad = int(tokenizer.pad_token_id)
    in_packs = step.packing and step.rollouts is None and rendering.task != "preference"
    in_packs = in_packs and not reads_whole_rows(step.objective) and step.order == "shuffled"
    if in_packs and kind_named(rendering.model_kind).packs:
        return PackedSource(rendered, rendering, step.max_length, step.seed, pad, apart=apart)
    padded = PaddedSource(rendered, rendering, pad, decoder_start(config, tokenizer))
    if not rendering.group_names:
        return padded
    wanted = {term.on for term in step.objective}
    groups = {number for number, name in enumerate(rendering.group_names) if None in wanted or name in wanted}
    rows: dict[str, list[int]] = {}
    for entry, (row_id, group) in enumerate(zip(rendered["row_id"], rendered["group"], strict=True)):
        if group in groups:
            rows.setdefault(rendering.row_of(row_id, group), []).append(entry)
    return TaskPairs(padded, list(rows.values()))


def heldout_source(rendered: Dataset, rendering: Rendering, tokenizer: Any, config: Any) -> PaddedSource:
    """Held-out rows, one an entry; of two examples of a row the first, which is what the student is for."""
    if rendering.group_names:
        rendered = rendered.filter(lambda group: group == 0, input_columns="group")
    return PaddedSource(rendered, rendering, int(tokenizer.pad_token_id), decoder_start(config, tokenizer))


def measured_source(source: PaddedSource, step: Evaluate, tokenizer: Any) -> PaddedSource | DrawnSource:
    """Held-out rows as an evaluation reads them: what their kind of model draws is drawn once."""
    kind = text_kind(source.rendering.model_kind)
    if not kind.draws:
        return source
    draw = partial(kind.drawn, tokenizer=tokenizer, step=step, at="evaluation")
    return DrawnSource(source, draw, [kind.name, step.model_dump(mode="json")])


def calibration_source(rows: Dataset, step: Build, tokenizer: Any) -> tuple[PaddedSource, list[int]]:
    """The rows a student is pruned by, one an entry, and which entries to read, in what order.

    At most `calibration_rows` rows are drawn; of long texts, which make several windows, at most as many
    windows again.
    """
    draw = generator(step.seed, "calibration")
    drawn = sorted(draw.permutation(len(rows))[: step.calibration_rows].tolist())
    rendering = Rendering(model_kind="causal", max_length=step.max_length)
    rendered = render(rows.select(drawn), tokenizer, rendering)
    source = PaddedSource(rendered, rendering, int(tokenizer.pad_token_id))
    return source, draw.permutation(len(source))[: step.calibration_rows].tolist()


def size_of(source: Source) -> tuple[int, int]:
    """Entries of a source, and their tokens."""
    lengths: list[int] = source.lengths  # type: ignore[attr-defined]
    return len(lengths), sum(lengths)
