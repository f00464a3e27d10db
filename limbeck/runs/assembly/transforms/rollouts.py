"""Rollouts of a train step: who writes, from which prompts, and what terms need of it."""

from limbeck.core.needs import DISTRIBUTION
from limbeck.core.rollouts import Replay
from limbeck.core.signals import POINTWISE
from limbeck.inference.request import TokenIds
from limbeck.rollouts import LocalWriter, Rollouts, Writers
from limbeck.runs import ranks
from limbeck.runs.assembly.transforms.training import Training
from limbeck.schedules.scheduled import scheduled
from limbeck.teachers import LocalTeacher


def make(training: Training) -> Rollouts | None:
    """The rollouts of the step, or None.

    With `packing`, the models of the step must keep the rows of a pack apart.
    """
    step, settings = training.step, training.step.rollouts
    if settings is None:
        return None
    fresh = (settings.replay or Replay()).fresh
    shares = {"student": settings.student, "teacher": settings.teacher, "fresh": fresh}
    state = ranks.state()
    return Rollouts(
        settings,
        shares={name: scheduled(value) for name, value in shares.items()},
        writers=_writers(training),
        folder=training.work.folder / "rollouts",
        seed=step.seed,
        needs_scores=any(term.is_judged for term in step.objective),
        prompts=training.source,
        # Other objectives read an attention mask, which packs have not.
        packed=step.packing and all(set(term.signals) <= POINTWISE for term in step.objective),
        rank=(state.process_index, state.num_processes),
    )


def _writers(training: Training) -> Writers:
    student, teacher = training.student, training.live
    # One that reads another format only judges: the plan refuses to let it write.
    writing = [teacher.model] if isinstance(teacher, LocalTeacher) else []
    # What ends the teacher's answers ends the student's: behind it the teacher has nothing to say.
    ids = TokenIds.of(training.tokenizer, student, *writing)
    guide = writing[0] if writing else None
    return Writers(
        trained=student,
        student=LocalWriter(student, ids, training.vocabulary, guide),
        ask_student=training.ask_student,
        teacher=None if guide is None else LocalWriter(guide, ids, training.vocabulary),
        ask_teacher=None if teacher is None else lambda batch: teacher.answer(batch, DISTRIBUTION),
        ids=ids,
    )
