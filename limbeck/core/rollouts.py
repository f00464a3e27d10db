"""Settings of rollouts: sequences written while training, instead of the data's or beside them."""

from typing import Any, Literal

from pydantic import Field, model_validator

from limbeck.core.config import Config

SOURCES = ("data", "student", "teacher", "corpus")
"""Where a sequence can come from; terms choose with `on`."""

Share = float | dict[str, Any]
"""A number in [0, 1], or a schedule of one."""


class Advantages(Config):
    """How sampled tokens are judged, for the objective `policy_gradient`.

    With the reward r_t = log p(y_t) - log q(y_t) of teacher p and student q, the advantage is the
    discounted sum of r from `return_from` on. `t` with discount 0 is the token's own reward
    (on-policy distillation); `t+1` is the part that an exact single-step term lacks (MiniLLM).
    """

    return_from: Literal["t", "t+1"] = "t"
    discount: float = Field(default=0.0, ge=0, le=1)
    length_normalised: bool = Field(default=False, description="divide by the number of tokens summed")
    whiten: bool = Field(default=False, description="mean 0 and deviation 1 over the tokens of the round")
    reward_scale: float = Field(default=1.0, gt=0, description="divides the reward; 0.5 in MiniLLM's code")
    reward_limit: float = Field(default=0.0, ge=0, description="clips the reward to +-limit; 0: no clipping")


class Replay(Config):
    """A buffer of the student's earlier completions (DistiLLM)."""

    capacity: int = Field(default=1000, ge=1, description="completions; the oldest go first")
    fresh: Share = Field(
        default_factory=lambda: {"schedule": "linear", "start": 1.0, "stop": 0.0},
        description="probability that a student's turn writes anew instead of taking from a full buffer",
    )


class Round(Config):
    """Prompts written for at once and learnt from several times (MiniLLM)."""

    prompts: int = Field(ge=1)
    epochs: int = Field(default=1, ge=1, description="passes over the round before the next is written")


class RolloutSettings(Config):
    """Who writes how much of what a step learns from.

    A prompt is what comes before the last answer of a row; of plain text, its first `prompt_tokens`.
    """

    student: Share = Field(default=1.0, description="share of the rows that the student writes anew")
    teacher: Share = Field(default=0.0, description="share that the teacher writes anew")
    draw: Literal["row", "step"] = Field(default="row", description="what is drawn: each row, or whole steps")
    beside: bool = Field(default=False, description="keep the data's sequence beside the written one")
    guide_share: float = Field(default=0.0, ge=0, le=1, description="the teacher's part in each token")
    max_new_tokens: int = Field(default=128, ge=1)
    prompt_tokens: int = Field(default=16, ge=1, description="of plain text rows")
    sampling_temperature: float = Field(default=1.0, ge=0, description="0: greedy")
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="below 1, the policy is that of the tokens it could draw",
    )
    replay: Replay | None = None
    round: Round | None = None
    corrections: int = Field(
        default=0, ge=0, description="errors corrected by the teacher in each completion"
    )
    advantages: Advantages | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> "RolloutSettings":
        for name in ("student", "teacher"):
            value = getattr(self, name)
            if isinstance(value, float) and not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}.")
        if isinstance(self.student, float) and isinstance(self.teacher, float):
            if self.student + self.teacher > 1:
                raise ValueError(f"student + teacher must be at most 1, got {self.student + self.teacher:g}.")
            if self.student == self.teacher == 0:
                raise ValueError("must have a share of student or teacher above 0; else leave rollouts out.")
        if self.replay is not None and self.draw != "step":
            raise ValueError("replay goes with draw: step, as in DistiLLM.")
        if self.round is not None and (self.replay is not None or self.student != 1.0):
            raise ValueError("round goes with student: 1.0 and without replay.")
        if self.replay is not None and self.advantages is not None:
            raise ValueError("replay and advantages exclude each other: an older student wrote what is kept.")
        if self.corrections and self.advantages is not None:
            raise ValueError("corrections and advantages exclude each other: the student did not draw them.")
        if self.corrections and self.guide_share:
            raise ValueError("corrections and guide_share exclude each other: both let the teacher write.")
        return self
