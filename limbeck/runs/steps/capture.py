"""`capture`: a teacher is asked about every row once, and what it says is kept."""

from dataclasses import replace

from limbeck.core.files import write_folder
from limbeck.core.model_words import model_word
from limbeck.core.models import quiet_transformers
from limbeck.recipes.steps import Capture
from limbeck.rows.render import notes_of
from limbeck.rows.source import PaddedSource
from limbeck.runs import ranks
from limbeck.runs.assembly.sources import rendering_of
from limbeck.runs.assembly.stores import identity_of, positions_of, row_checksums, summary
from limbeck.runs.assembly.teachers import CAPTURED_TEACHERS
from limbeck.runs.checking.planned import PlannedStep, notes_of_step
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey
from limbeck.signals.filling import fill
from limbeck.signals.layout import TOKENIZER
from limbeck.signals.manifest import Manifest

VERSION = 4
"""Raised when the same step makes other stores: what an earlier limbeck made is then made anew."""


def run(step: Capture, work: StepContext) -> StepResult:
    """Write the store into the step's folder, or where the step says; goes on where it was interrupted."""
    teacher = CAPTURED_TEACHERS[type(step.teacher)].open_captured(step, work)
    tokenizer = teacher.tokenizer
    rendering = rendering_of(step, teacher.kind, task=step.task, label_names=())
    rendered = work.renderer.render(step.rows, work.rows(step.rows), tokenizer, rendering)
    source = PaddedSource(rendered, rendering, int(tokenizer.pad_token_id), teacher.decoder_start)
    identity = identity_of(
        step,
        version=VERSION,
        weights=teacher.weights,
        tokenizer=tokenizer,
        rendering=rendering,
        rows=row_checksums(rendered),
        vocabulary=teacher.vocabulary,
    )
    folder = work.store_place(step.out, work.recipe.steps[: work.place + 1])

    def save_tokenizer() -> None:
        with quiet_transformers():
            write_folder(folder / TOKENIZER, lambda temporary: tokenizer.save_pretrained(temporary))

    if teacher.in_every_rank or ranks.is_main():
        with teacher.asking(source) as asked:

            def prepare() -> None:
                save_tokenizer()
                teacher.prepare(asked)

            fill(
                folder,
                identity,
                tokens=source.lengths,
                asked=asked,
                rank=ranks.state().process_index,
                ranks=ranks.count() if teacher.in_every_rank else 1,
                wait=ranks.wait if teacher.in_every_rank else lambda: None,
                prepare=prepare,
                progress=lambda share: work.advance(share, "asking the teacher"),
                origin=teacher.origin,
            )
    ranks.wait()
    manifest = Manifest.read(folder)
    notes = (*notes_of(rendered), *teacher.notes(), summary(manifest))
    return StepResult(tokens=manifest.tokens, notes=notes)


def look(at: Look, step: Capture) -> None:
    """Refuse a teacher that gives no tokens, and rows that are too long for it."""
    capturing = CAPTURED_TEACHERS[type(step.teacher)]
    reading = capturing.look(at, step)
    if reading is None or step.rows not in at.rows:
        return
    kind, tokenizer = reading
    rendering = rendering_of(step, kind, task=step.task, label_names=())
    rendered = at.seen.renderer.render(step.rows, at.rows[step.rows], tokenizer, rendering)
    capturing.check_rows(at, step, rendered)
    at.note_form_with(step.rows, kind, tokenizer, rendered)
    lengths = [len(ids) for ids in rendered["input_ids"]]
    at.seen.entries[at.place] = (len(lengths), sum(lengths))
    at.seen.positions[at.place] = positions_of(rendered)


def plan(step: Capture, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    rows, tokens = seen.entries.get(place, (0, 0))
    positions = seen.positions.get(place, 0)
    word = step.teacher.word
    planned = PlannedStep(
        place,
        step.kind,
        step.out,
        f"{model_word(word).said if word else step.teacher.called} answers {step.rows}, kept as "
        f"{step.payload.name}",
        rows=rows,
        tokens=tokens or None,
    )
    planned = CAPTURED_TEACHERS[type(step.teacher)].plan(step, seen, rates, planned)
    notes = planned.notes
    if planned.disk:
        each = f"{planned.disk / positions:,.0f} bytes each"
        notes = (
            f"{positions:,} positions kept, at most about {each}; `limbeck signals rehearse` measures it.",
            *notes,
        )
    return replace(planned, notes=(*notes, *notes_of_step(place, seen)))
