"""What a store keeps of a teacher's distribution, and how exactly."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.config import Config


class TopKPayload(Config):
    """The likeliest ids of each position: the smallest set that reaches `mass`, at most `max`.

    Where no set of `max` ids reaches it, the last of them, `draws` at most and no more than half of `max`,
    are drawn from what the others leave.
    """

    mass: float = Field(default=0.999, gt=0, le=1)
    max: int = Field(default=64, ge=1, le=255)
    draws: int = Field(default=16, ge=0, le=127, description="ids drawn from the tail; 0: one bucket")
    quantisation: float = Field(
        default=1e-4, ge=1e-5, le=1e-2, description="nats of KL that rounding may cost on average"
    )

    @property
    def most_draws(self) -> int:
        """Ids of a position that may be drawn."""
        return min(self.draws, self.max // 2)


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

    @classmethod
    def of_store(cls, values: Mapping[str, Any]) -> "Payload":
        """As a store tells it: one without `draws` has none, like all before there were any."""
        topk = values.get("topk")
        return cls.model_validate(values if topk is None else {**values, "topk": {"draws": 0, **topk}})

    def for_store(self) -> dict[str, Any]:
        """Plain data from which `of_store` makes it again."""
        values = self.model_dump(mode="json", exclude_none=True)
        if self.topk is not None and not self.topk.draws:
            del values["topk"]["draws"]
        return values

    @property
    def name(self) -> str:
        """`topk` or `hidden`."""
        return "topk" if self.topk is not None else "hidden"
