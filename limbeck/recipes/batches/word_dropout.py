"""Noise on what a model reads: some input tokens are replaced, and all targets stay."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limbeck.recipes.batches.batch_transform import BatchTransform
from limbeck.recipes.teachers.capabilities import NEW_ROWS, Ask

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class WordDropout(BatchTransform):
    """Replace a share of the tokens that the student reads; what it must predict stays.

    Special tokens stay, and of a seq2seq model what its decoder reads.

    Source:
        Bowman et al. 2016, arXiv:1511.06349, section 3 (`replacement: unknown`); Wang et al. 2018,
        arXiv:1808.07512 (`replacement: random`, there with a number of tokens that is drawn). A teacher that
        reads clean rows beside a noisy student: Xie et al. 2020, arXiv:1911.04252.
    """

    share: float = Field(gt=0, lt=1, description="of the tokens, each drawn for itself, in every step anew")
    # The one that any tokenizer can give.
    replacement: Literal["random", "unknown"] = Field(
        default="random", description="any token that is not special, or the unknown token"
    )
    teacher_reads: Literal["clean", "noisy"] = Field(
        default="clean", description="the rows as they were, or what the student reads"
    )

    def invalidates(self) -> Mapping[str, str]:
        """Rollouts."""
        return {"rollouts": "what is written is judged by what was read"}

    def asks(self, step: "Train", where: str) -> Iterator[Ask]:
        """An answer to noise, where the teacher is to read it."""
        if self.teacher_reads == "noisy" and step.reads_teacher:
            yield Ask(f"{where}.teacher_reads", NEW_ROWS, "lets the teacher read noise")
