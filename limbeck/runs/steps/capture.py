"""`capture`: a teacher is asked about every row once, and what it says is kept."""

import torch

from limbeck.core.batch import Batch
from limbeck.core.decoder_start import decoder_start
from limbeck.core.files import write_folder
from limbeck.core.models import model_fingerprint, quiet_transformers, read_config
from limbeck.core.outputs import Needs, Outputs
from limbeck.recipes.steps import Capture
from limbeck.rows.render import notes_of
from limbeck.rows.source import PaddedSource
from limbeck.runs import ranks
from limbeck.runs.sources import rendering_of
from limbeck.runs.steps.work import Made, Work
from limbeck.runs.stores import identity_of, row_checksums, summary
from limbeck.signals.capture import capture as run_capture
from limbeck.signals.layout import TOKENIZER
from limbeck.signals.manifest import Manifest
from limbeck.teachers import LocalTeacher

VERSION = 3
"""Raised when the same step makes other stores: what an earlier limbeck made is then made anew."""
_NEEDS = Needs(distribution=True)


def capture(step: Capture, work: Work) -> Made:
    """Write the store into the step's folder, or where the step says; goes on where it was interrupted."""
    place = work.model_place(step.teacher.word)
    kind = work.kind(step.model_kind, step.teacher.word)
    tokenizer = work.load_tokenizer(step.teacher.word)
    rendering = rendering_of(step, kind, task=step.task, label_names=())
    rendered = work.renderer.render(step.rows, work.rows(step.rows), tokenizer, rendering)
    config = read_config(place)
    source = PaddedSource(rendered, rendering, int(tokenizer.pad_token_id), decoder_start(config, tokenizer))
    columns = int(config.get_text_config().vocab_size)
    # Padding of the head is no outcome; stored whole heads are cut when they are read.
    spoken = (
        None if step.payload.hidden is not None else min(columns, 1 + max(tokenizer.get_vocab().values()))
    )
    identity = identity_of(
        step,
        version=VERSION,
        weights=model_fingerprint(place),
        tokenizer=tokenizer,
        rendering=rendering,
        rows=row_checksums(rendered),
        vocabulary=spoken or columns,
    )
    folder = work.store_place(step.out, work.recipe.steps[: work.place + 1])
    teacher = LocalTeacher(work.load_model(step.teacher.word, kind), spoken).to(work.device)

    def answer(batch: Batch) -> Outputs:
        with torch.autocast(work.device.type, torch.bfloat16, enabled=step.bf16):
            return teacher.answer(batch, _NEEDS)

    def save_tokenizer() -> None:
        with quiet_transformers():
            write_folder(folder / TOKENIZER, lambda temporary: tokenizer.save_pretrained(temporary))

    run_capture(
        folder,
        identity,
        tokens=source.lengths,
        batch_of=lambda rows: source.batch(rows).to(work.device),
        answer=answer,
        batch_tokens=step.batch_tokens,
        rank=ranks.state().process_index,
        ranks=ranks.count(),
        wait=ranks.wait,
        prepare=save_tokenizer,
        progress=lambda share: work.advance(share, "asking the teacher"),
    )
    manifest = Manifest.read(folder)
    return Made(tokens=manifest.tokens, notes=(*notes_of(rendered), summary(manifest)))
