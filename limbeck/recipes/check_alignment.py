"""Checks of train steps whose teacher has another tokenizer."""

from collections.abc import Iterator

from limbeck.core.errors import Problem
from limbeck.recipes.steps import Train
from limbeck.recipes.terms import Term

_FOREIGN = frozenset({"teacher_own_logits", "teacher_chunks", "teacher_chunk_states", "teacher_space"})
_BY_POSITION = frozenset({"teacher_logits", "teacher_own_logits"})
_SAME_TOKENS = frozenset({"teacher_topk", "teacher_states", "teacher_qkv", "spans"})


def reads_foreign(step: Train) -> bool:
    """Whether the step's teacher reads the rows in tokens of its own."""
    return step.alignment is not None or any(_FOREIGN & set(term.signals) for term in step.objective)


def alignment_problems(step: Train, where: str) -> Iterator[Problem]:
    """What does not go with a teacher that has another tokenizer."""
    if step.teacher is None or not step.teacher.model or step.teacher.noise:
        yield Problem(f"{where}.teacher", "must be a model without noise, to read rows in its own tokens.")
    apart = {
        "rollouts": step.rollouts is not None,
        "selection": step.selection is not None,
        "watch": step.watch is not None,
        "task": step.task != "default",
        "model_kind": step.model_kind not in ("auto", "causal"),
    }
    for name in (name for name, is_set in apart.items() if is_set):
        yield Problem(f"{where}.{name}", "cannot go with a teacher of another tokenizer: leave it out.")
    for place, term in enumerate(step.objective):
        yield from _term_problems(step, term, f"{where}.objective.{place}")


def _term_problems(step: Train, term: Term, where: str) -> Iterator[Problem]:
    read = set(term.signals)
    is_mapped = step.alignment is not None and step.alignment.map != "none"
    same = read & _SAME_TOKENS
    if same:
        yield Problem(
            where,
            f"{term.name} reads {' and '.join(sorted(same))}, which needs the teacher's tokens to be the "
            "student's. Take alm, uld, dual_space, or a teacher with the student's tokenizer.",
        )
    if "teacher_logits" in read and not is_mapped:
        yield Problem(
            where,
            f"{term.name} compares scores of the same ids: add alignment: {{map: min_edit}}, or take alm.",
        )
    if "teacher_own_logits" in read and is_mapped:
        yield Problem(where, f"{term.name} reads the teacher's own ids: leave out alignment.map.")
    if read & _BY_POSITION and term.on != "aligned":
        yield Problem(f"{where}.on", f"must be aligned: only there the teacher answers, got {term.on}.")
