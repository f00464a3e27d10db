"""What a store keeps of a teacher's distribution, and how exactly."""

from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.config import Config


class TopKPayload(Config):
    """The likeliest ids of each position: the smallest set that reaches `mass`, at most `max`."""

    mass: float = Field(default=0.999, gt=0, le=1)
    max: int = Field(default=64, ge=1, le=255)
    quantisation: float = Field(
        default=1e-4, ge=1e-5, le=1e-2, description="nats of KL that rounding may cost on average"
    )


class HiddenPayload(Config):
    """Last hidden states, and the vocabulary head once: the whole distribution, at any temperature."""

    dtype: Literal["float32", "bfloat16", "int8"] = "bfloat16"


class Payload(Config):
    """`{topk: {mass: 0.999, max: 64}}` or `{hidden: {dtype: bfloat16}}`."""

    topk: TopKPayload | None = None
    hidden: HiddenPayload | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Payload":
        if (self.topk is None) == (self.hidden is None):
            raise ValueError("must have exactly one of topk and hidden, for example {topk: {mass: 0.999}}.")
        return self

    @model_serializer
    def _short(self) -> dict[str, Any]:
        values = {"topk": self.topk, "hidden": self.hidden}
        return {name: value.model_dump(mode="json") for name, value in values.items() if value is not None}

    @property
    def name(self) -> str:
        """`topk` or `hidden`."""
        return "topk" if self.topk is not None else "hidden"
