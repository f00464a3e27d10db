"""Student and teacher as writers of completions, one part after another, each kept in the journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from limbeck.core.rollouts import RolloutSettings
from limbeck.core.seeds import derived_seed
from limbeck.inference.request import TokenIds
from limbeck.inference.sample import sample
from limbeck.rollouts.journal import Journal
from limbeck.rollouts.revise import revise
from limbeck.rollouts.score import Ask
from limbeck.rollouts.written import Written

_PART = 64  # completions between two saves


@dataclass(frozen=True)
class Writers:
    """Who can write.

    Attributes:
        student: the model that is trained.
        ask_student: reads its distribution, without gradients.
        teacher: a model that can write, or None.
        ask_teacher: reads the teacher's distribution, or None.
        ids: end and padding tokens.
        vocabulary: ids from here on are never written; None: all may be.
    """

    student: nn.Module
    ask_student: Ask
    teacher: nn.Module | None
    ask_teacher: Ask | None
    ids: TokenIds
    vocabulary: int | None

    def write(
        self,
        rows: Sequence[Written],
        source: str,
        settings: RolloutSettings,
        *,
        step: int,
        seed: int,
        journal: Journal,
        first_part: int = 0,
    ) -> list[Written]:
        """The rows with answers by `source`; what the journal has is not written again."""
        found: list[Written] = []
        for part, start in enumerate(range(0, len(rows), _PART), first_part):
            asked = rows[start : start + _PART]
            written = journal.read(step, part, asked)
            if written is None:
                own = derived_seed(seed, "rollouts", step, part)
                written = self._part(asked, source, settings, own)
                journal.keep(step, part, written)
            found += written
        return found

    def _part(
        self, rows: Sequence[Written], source: str, settings: RolloutSettings, seed: int
    ) -> list[Written]:
        prompts = [row.prompt(settings.prompt_tokens) for row in rows]
        by_teacher = source == "teacher"
        model = self.teacher if by_teacher else self.student
        assert model is not None
        options: dict[str, Any] = {
            "tokenizer_or_ids": self.ids,
            "sampling_temperature": settings.sampling_temperature,
            "top_p": settings.top_p,
            "vocabulary": self.vocabulary,
        }
        if not by_teacher and settings.guide_share:
            options |= {"guide": self.teacher, "guide_share": settings.guide_share}
        drawn = sample(model, prompts, max_new_tokens=settings.max_new_tokens, seed=seed, **options)
        answers = zip(rows, prompts, drawn, strict=True)
        written = [row.answered(prompt, one.ids, source) for row, prompt, one in answers]
        for round_ in range(0 if by_teacher else settings.corrections):
            written = revise(
                written,
                [len(prompt) for prompt in prompts],
                writers=self,
                room=settings.max_new_tokens,
                seed=derived_seed(seed, "correction", round_),
                options=options,
            )
        return written


def parts(rows: int) -> int:
    """Number of parts that so many rows are written in."""
    return -(-rows // _PART)
