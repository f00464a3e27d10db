"""Reads distributions and taps (hidden states, attention inputs, routers) out of any transformers model.

The vocabulary is not projected here: `hidden` and `head` go to the objective, which
projects only the positions that are learnt from, a chunk at a time. That this is the
model's own distribution is checked once, on the model itself (`projects_exactly`).
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from limbeck.core.errors import ModelError
from limbeck.core.mixture import mixed
from limbeck.core.needs import DISTRIBUTION, Needs, Site
from limbeck.core.outputs import Outputs
from limbeck.core.rope import keep_rows_alone, own_positions
from limbeck.core.signals import Head, MixedHead
from limbeck.core.taps import Forward, tap

_PROBE_TOKENS = 5
_PROBE_TOLERANCE = 1e-3  # relative to the largest logit; a wrong head is off by its own size
_ROUNDED_TOLERANCE = 2e-2  # in half precision
_LARGE = 128.0  # logits that bend any cap in use: 30 becomes 30, 1000 becomes 127.3


class ForwardModel:
    """A model seen as a source of signals.

    Args:
        model: a transformers model (or a PEFT model around one).
        vocabulary: number of token ids that are shared by teacher and student; columns beyond
            it (padding of the head) are cut off before anything is normalised.
    """

    def __init__(self, model: nn.Module, vocabulary: int | None = None) -> None:
        self.model = model
        self.vocabulary = vocabulary
        # PEFT's adapters live inside the modules, so the plain model underneath still applies them.
        inner: Any = getattr(model, "get_base_model", lambda: model)
        self.plain: Any = inner()
        self.is_seq2seq = bool(getattr(self.plain.config, "is_encoder_decoder", False))
        self.projects = False
        self._lengths_count = keep_rows_alone(model)

    def probe(self) -> "ForwardModel":
        """Find out, on a few tokens, whether head(hidden) equals the model's own logits."""
        self.projects = projects_exactly(self)
        return self

    def head(self) -> Head:
        """The vocabulary head, cut to the shared vocabulary."""
        output, config = self.plain.get_output_embeddings(), self.plain.config.get_text_config()
        scale = _number(config, "logit_scale") or 1.0 / (_number(config, "logits_scaling") or 1.0)
        bias = output.bias if getattr(output, "bias", None) is not None else None
        return Head(
            weight=output.weight[: self.vocabulary],
            bias=None if bias is None else bias[: self.vocabulary],
            scale=scale,
            softcap=_number(config, "final_logit_softcapping") or _number(config, "logits_soft_cap"),
        )

    def read(self, inputs: Mapping[str, Tensor], needs: Needs) -> Outputs:
        """Run the model once and return what `needs` asks for.

        Raises:
            ModelError: a head, a tap or a site is asked for that the model does not have.
        """
        if self._lengths_count and "attention_mask" in inputs and "position_ids" not in inputs:
            inputs = {**inputs, "position_ids": own_positions(inputs["attention_mask"])}
        sites: dict[str, list[Site]] = {}
        for name, site in needs - DISTRIBUTION:
            sites.setdefault(name, []).append(site)
        taps = {name: tap(name) for name in sites}
        options = {name: value for one in taps.values() for name, value in one.options.items()}
        with ExitStack() as hooks:
            caught = {name: hooks.enter_context(one.around(self, sites[name])) for name, one in taps.items()}
            answer, distribution = self._forward(inputs, options, needs)
        passes = {name: Forward(self, inputs, answer, caught[name]) for name in taps}
        found = {(name, site): taps[name].take(passes[name], site) for name, site in needs - DISTRIBUTION}
        return replace(distribution, taps=found)

    def hidden_of(self, answer: Any) -> Tensor:
        """[B, T, H] what the head reads, of an answer of the body."""
        hidden: Tensor = answer.last_hidden_state
        if getattr(self.plain.config, "scale_decoder_outputs", False):
            hidden = hidden * self.plain.config.d_model**-0.5  # T5 scales before its tied head
        return hidden

    def _forward(
        self, inputs: Mapping[str, Tensor], options: Mapping[str, Any], needs: Needs
    ) -> tuple[Any, Outputs]:
        """The answer of the body, or of the whole model where that must give logits, and the distribution."""
        if not needs >= DISTRIBUTION:
            return self._backbone(inputs, options), Outputs()
        if self.projects:
            answer = self._backbone(inputs, options)
            return answer, Outputs(hidden=self.hidden_of(answer), head=self.head())
        answer = self.model(**inputs, **options, **self._no_cache())
        if not hasattr(answer, "logits"):
            raise ModelError(
                f"model must have a head to give a distribution, got {type(self.plain).__name__}. "
                "Load it as another kind."
            )
        return answer, Outputs(logits=self._cut(answer.logits))

    def _backbone(self, inputs: Mapping[str, Tensor], options: Mapping[str, Any]) -> Any:
        if not self.is_seq2seq:
            return self._body(**inputs, **options, **self._no_cache())
        mask = inputs.get("attention_mask")
        encoded = self.plain.get_encoder()(input_ids=inputs["input_ids"], attention_mask=mask)
        return self.plain.get_decoder()(
            input_ids=inputs["decoder_input_ids"],
            encoder_hidden_states=encoded.last_hidden_state,
            encoder_attention_mask=mask,
            use_cache=False,
            **options,
        )

    @property
    def _body(self) -> Any:
        """What gives the last hidden states: the model without its head."""
        if self.is_seq2seq:
            return self.plain.get_decoder()
        body = self.plain.base_model
        if body is self.plain and self.plain.get_output_embeddings() is not None:
            # Llama 4 calls its body by another name than its prefix.
            parts = (part for part in self.plain.children() if isinstance(part, PreTrainedModel))
            return next(parts, body)
        return body

    def _no_cache(self) -> dict[str, bool]:
        # With the default cache, rows of a pack see each other (transformers 5.23); encoders know no cache.
        return {"use_cache": False} if hasattr(self.plain.config, "use_cache") else {}

    def _cut(self, logits: Tensor) -> Tensor:
        # Class scores have no padding columns.
        return logits[..., : self.vocabulary] if logits.dim() == 3 else logits


def projects_exactly(reader: ForwardModel) -> bool:
    """Whether head(hidden) equals the model's own logits; False for heads that are more than linear.

    Asked twice: with the hidden states of a few tokens, and with those made so large that logits reach
    `_LARGE`, where a head that bends (a soft cap by a name that is not known) no longer looks straight.
    """
    plain = reader.plain
    if not hasattr(plain, "get_output_embeddings") or not isinstance(
        plain.get_output_embeddings(), nn.Linear
    ):
        return False
    device = next(plain.parameters()).device
    ids = torch.arange(1, 1 + _PROBE_TOKENS, device=device)[None] % plain.config.get_text_config().vocab_size
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if reader.is_seq2seq else {})
    was_training = plain.training
    plain.eval()
    try:
        with torch.no_grad():
            probing = ForwardModel(reader.model, reader.vocabulary)
            seen, logits = _same_logits(probing, inputs, 1.0)
            if not seen:
                return False
            # A power of two: a linear head then rounds alike.
            factor = 2.0 ** max(3, math.ceil(math.log2(_LARGE / max(logits, 1e-6))))
            return _same_logits(probing, inputs, factor)[0]
    finally:
        plain.train(was_training)


def _same_logits(reader: ForwardModel, inputs: Mapping[str, Tensor], factor: float) -> tuple[bool, float]:
    """Whether the head gives the model's own logits of its hidden states times `factor`; the largest one."""
    reader.projects = False
    with _enlarged(reader, factor) as calls:
        direct = reader.read(inputs, DISTRIBUTION).logits
    reader.projects = True
    parts = reader.read(inputs, DISTRIBUTION)
    if direct is None or parts.hidden is None or parts.head is None or not calls:
        return False, 0.0
    # Enlarged in the dtype of the model, before a scale of its own (T5), which is part of the head.
    projected = project(parts.hidden * factor, parts.head).float()
    direct = direct.float()
    largest = float(direct.abs().amax())
    apart = float((projected - direct).abs().amax())
    tolerance = _PROBE_TOLERANCE if parts.hidden.dtype == torch.float32 else _ROUNDED_TOLERANCE
    return apart <= tolerance * max(largest, 1.0), largest


@contextmanager
def _enlarged(reader: ForwardModel, factor: float) -> Iterator[list[None]]:
    """Let the model's body hand its head hidden states that are `factor` times as large; lists its calls."""
    calls: list[None] = []

    def enlarge(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        calls.append(None)
        if isinstance(output, tuple):
            return (output[0] * factor, *output[1:])
        output.last_hidden_state = output.last_hidden_state * factor
        return output

    hook = reader._body.register_forward_hook(enlarge)
    try:
        yield calls
    finally:
        hook.remove()


def project(hidden: Tensor, head: Head | MixedHead) -> Tensor:
    """Logits [..., V] of hidden states [..., H], in the dtype of the head; of a mixture in float32."""
    if isinstance(head, MixedHead):
        return mixed(hidden, head)
    logits = nn.functional.linear(hidden.to(head.weight.dtype), head.weight, head.bias) * head.scale
    return logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)


def _number(config: Any, field: str) -> float | None:
    """A field that scales or caps logits; what is no number (MPT's `inv_sqrt_d_model`) does neither here."""
    value = getattr(config, field, None)
    return float(value) if isinstance(value, int | float) else None
