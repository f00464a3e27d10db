"""What one server wants said differently from others, found by a probe or learnt from what it refuses."""

from dataclasses import dataclass, field

from limbeck.endpoint.structured import TIERS, Tier


@dataclass(slots=True)
class Dialect:
    """How calls are put for one server. It is mended in place when the server refuses a field.

    Attributes:
        limit: the field that bounds the answer; reasoning models of OpenAI want `max_completion_tokens`.
        tier: how schemas are asked for.
        without: fields that are left out, as the server refuses them: `seed`, `stream_options`, and
            `temperature` and `top_p` where they are 1, which is what such servers do by themselves.
        ids_in_scores: tokens of log-probabilities are asked for as ids (vLLM), as texts of several may be
            equal.
    """

    limit: str = "max_tokens"
    tier: Tier = "json_schema"
    without: set[str] = field(default_factory=set)
    ids_in_scores: bool = False

    def learn(self, name: str, *, value: object = None) -> bool:
        """Leaves a refused field out from now on, or puts it otherwise; whether nothing is lost by that.

        Args:
            name: of the field.
            value: that was sent in it.
        """
        if name == "max_tokens" and self.limit == "max_tokens":
            self.limit = "max_completion_tokens"
            return True
        if name == "max_completion_tokens" and self.limit == "max_completion_tokens":
            self.limit = "max_tokens"
            return True
        if name in ("response_format", "structured_outputs", "json_schema") and self.tier != TIERS[-1]:
            self.tier = TIERS[TIERS.index(self.tier) + 1]
            return True
        if name == "output_config" and self.tier == "json_schema":
            self.tier = "prompt"
            return True
        mended = name in ("seed", "stream_options") or (name in ("temperature", "top_p") and value == 1)
        if mended:
            self.without.add(name)
        return mended
