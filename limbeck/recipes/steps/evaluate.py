"""`evaluate`: models measured on held-out rows."""

from typing import ClassVar, Literal

from pydantic import Field

from limbeck.recipes.named_models import Word
from limbeck.recipes.parts import Teacher
from limbeck.recipes.steps.step import Makes, Step

METRICS = Literal[
    "perplexity", "fidelity", "calibration", "generation", "speed", "classification", "similarity"
]


class Evaluate(Step):
    """Compare teacher, student and baseline on held-out rows."""

    kind: ClassVar[str] = "evaluate"
    makes: ClassVar[Makes] = "evaluation"
    out: str = "evaluation"
    model: Word
    teacher: Teacher | None = None
    baseline: Word | None = None
    rows: str
    metrics: tuple[METRICS, ...] = Field(min_length=1)
    model_kind: Literal["auto", "causal", "seq2seq", "encoder", "classifier"] = "auto"
    task: Literal["python_syntax", "exact_match", "final_answer"] | None = None
    loss_on: Literal["last_assistant", "all_assistant", "all"] = "all_assistant"
    max_length: int = Field(default=1024, ge=2)
    max_target_length: int = Field(default=256, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)
    prompts: int = Field(default=32, ge=1, description="held-out prompts that are completed")
    limit: int | None = Field(default=None, ge=1, description="at most this many held-out rows")
    max_positions: int | None = Field(default=None, ge=1, description="read entries at random up to so many")
    batch_size: int = Field(default=8, ge=1)
    seed: int = Field(default=0, ge=0)
