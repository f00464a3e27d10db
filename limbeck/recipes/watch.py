"""What a train step measures while it trains."""

from typing import Literal

from pydantic import Field

from limbeck.core.config import Config
from limbeck.recipes.named_models import Word


class Watch(Config):
    """What is measured while training, on rows apart: metrics that schedules and figures can follow."""

    rows: str
    every: int = Field(default=100, ge=1, description="optimizer steps")
    loss: bool = Field(default=True, description="validation_loss: the terms that learn from data")
    distances: dict[str, Word] = Field(
        default_factory=dict, description="name: model; mean divergence between that model and the student"
    )
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = Field(
        default="forward_kl", description="of the distances; forward_kl is KL(model || student)"
    )
    written_by: Literal["data", "student"] = Field(
        default="data", description="whose answers distances are measured on; student: fresh ones"
    )
    perplexities_by: str | None = Field(default=None, description="column of domains; also of the teacher")
    limit: int = Field(default=64, ge=1, description="rows looked at, of each domain for perplexities")
    max_new_tokens: int = Field(default=64, ge=1, description="of the student's answers")
