"""`generate`: whether the teacher can write, and where its answers will end."""

from limbeck.core.errors import ConfigError, ModelError, Problem
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.recipes.steps import Generate
from limbeck.runs.answers import prompts_to_answer, said_of_ends
from limbeck.runs.looks.look import Look


def look(at: Look, step: Generate) -> None:
    """Refuse a teacher that cannot write, and prompts that leave it no room."""
    teacher = at.shape(step.teacher.word, "teacher.model")
    if teacher is None:
        return
    if teacher.kind is None or not kind_named(teacher.kind).writes:
        raise ModelError(
            Problem(
                "teacher.model",
                f"must be a {kinds_that('writes')} model to write, got {teacher.kind or 'another'}.",
            )
        )
    if teacher.positions is not None and step.max_new_tokens >= teacher.positions:
        raise ConfigError(
            Problem(
                "max_new_tokens",
                f"must be below the teacher's {teacher.positions} positions, got {step.max_new_tokens}.",
            )
        )
    tokenizer = at.known.tokenizer(teacher)
    at.seen.ends[at.place] = said_of_ends(tokenizer, teacher)
    if step.rows in at.rows:
        prompts_to_answer(at.rows[step.rows], step, teacher.kind, tokenizer, teacher.positions)
