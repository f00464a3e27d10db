"""Reads hidden states, heads, logits and attention inputs out of any transformers model.

The vocabulary is not projected here: `hidden` and `head` go to the objective, which
projects only the positions that are learnt from, a chunk at a time. That this is the
model's own distribution is checked once, on the model itself (`projects_exactly`).
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from limbeck.core.errors import ModelError
from limbeck.core.mixture import mixed
from limbeck.core.outputs import Needs, Outputs
from limbeck.core.rope import keep_rows_alone, own_positions
from limbeck.core.signals import QKV, Head, MixedHead, Routing

_QKV_NAMES = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("q", "k", "v"),
)
_PROBE_TOKENS = 5
_PROBE_TOLERANCE = 1e-3  # relative to the largest logit; a wrong head is off by its own size
_ROUNDED_TOLERANCE = 2e-2  # in half precision
_LARGE = 128.0  # logits that bend any cap in use: 30 becomes 30, 1000 becomes 127.3


class Reader:
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

    def probe(self) -> "Reader":
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
            ModelError: a layer, a head, a space or a router is asked for that the model does not have.
        """
        if needs.space and not self.projects:
            raise ModelError(
                f"model must have a linear head to give its space, got {type(self.plain).__name__}. "
                "Use an objective on logits."
            )
        if self._lengths_count and "attention_mask" in inputs and "position_ids" not in inputs:
            inputs = {**inputs, "position_ids": own_positions(inputs["attention_mask"])}
        asked = {"output_hidden_states": bool(needs.states)}
        if needs.routing:
            asked["output_router_logits"] = True
        with _captured(self._attention_layers(needs.qkv)) as caught:
            if needs.distribution and not self.projects:
                answer = self.model(**inputs, **asked, **self._no_cache())
                if not hasattr(answer, "logits"):
                    raise ModelError(
                        f"model must have a head to give a distribution, got {type(self.plain).__name__}. "
                        "Load it as another kind."
                    )
                logits, hidden = self._cut(answer.logits), None
            else:
                answer = self._backbone(inputs, asked)
                logits, hidden = None, answer.last_hidden_state
        states = {layer: _state(answer, layer) for layer in needs.states}
        qkv = {layer: QKV(*(caught[layer][place] for place in range(3))) for layer in needs.qkv}
        projected = (needs.distribution or needs.space) and self.projects
        if projected and getattr(self.plain.config, "scale_decoder_outputs", False):
            hidden = hidden * self.plain.config.d_model**-0.5  # T5 scales before its tied head
        return Outputs(
            hidden=hidden if projected else None,
            head=self.head() if projected else None,
            logits=logits,
            states=states,
            qkv=qkv,
            embed=self._embed if needs.space else None,
            routing=self._routing(answer, inputs["input_ids"]) if needs.routing else None,
        )

    def _embed(self, ids: Tensor) -> Tensor:
        # The module, not its weight: some scale what they look up (Gemma).
        with torch.no_grad():
            embeddings: Tensor = self.plain.get_input_embeddings()(ids)
        return embeddings.detach()

    @property
    def experts(self) -> int:
        """Number of experts that each router chooses from; 0 without."""
        return int(getattr(self.plain, "num_experts", 0))

    def _routing(self, answer: Any, input_ids: Tensor) -> Routing:
        found = getattr(answer, "router_logits", None)
        if not found or not self.experts:
            raise ModelError(
                f"model must have routers to say which experts it chooses, got {type(self.plain).__name__}. "
                "Set router_aux_loss_coef to 0."
            )
        # One a layer, [B * T, E] or [B, T, E].
        logits = torch.stack([one.reshape(*input_ids.shape, -1) for one in found], dim=2)
        # Of the probabilities, as transformers counts them: equal ones may be ordered otherwise.
        probabilities = logits.float().softmax(-1)
        return Routing(logits, probabilities.topk(self.plain.num_experts_per_tok, dim=-1).indices)

    def _backbone(self, inputs: Mapping[str, Tensor], asked: Mapping[str, bool]) -> Any:
        if not self.is_seq2seq:
            return self._body(**inputs, **asked, **self._no_cache())
        mask = inputs.get("attention_mask")
        encoded = self.plain.get_encoder()(input_ids=inputs["input_ids"], attention_mask=mask)
        return self.plain.get_decoder()(
            input_ids=inputs["decoder_input_ids"],
            encoder_hidden_states=encoded.last_hidden_state,
            encoder_attention_mask=mask,
            use_cache=False,
            **asked,
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

    def _attention_layers(self, layers: tuple[int, ...]) -> dict[int, tuple[nn.Module, ...]]:
        if not layers:
            return {}
        found = list(_qkv_modules(self.plain.get_decoder() if self.is_seq2seq else self.plain))
        if self.is_seq2seq:
            found = found[::2]  # each decoder block: self-attention, then cross-attention
        if not found:
            raise ModelError(
                f"model must have separate q, k and v projections, got {type(self.plain).__name__}. "
                "Use an objective on states."
            )
        for layer in layers:
            if not -len(found) <= layer < len(found):
                raise ModelError(
                    f"attention layer must lie between {-len(found)} and {len(found) - 1}, got {layer}; "
                    f"{type(self.plain).__name__} has {len(found)} layers with separate q, k and v."
                )
        return {layer: found[layer] for layer in layers}


def projects_exactly(reader: Reader) -> bool:
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
            probing = Reader(reader.model, reader.vocabulary)
            seen, logits = _same_logits(probing, inputs, 1.0)
            if not seen:
                return False
            # A power of two: a linear head then rounds alike.
            factor = 2.0 ** max(3, math.ceil(math.log2(_LARGE / max(logits, 1e-6))))
            return _same_logits(probing, inputs, factor)[0]
    finally:
        plain.train(was_training)


def _same_logits(reader: Reader, inputs: Mapping[str, Tensor], factor: float) -> tuple[bool, float]:
    """Whether the head gives the model's own logits of its hidden states times `factor`; the largest one."""
    reader.projects = False
    with _enlarged(reader, factor) as calls:
        direct = reader.read(inputs, Needs(distribution=True)).logits
    reader.projects = True
    parts = reader.read(inputs, Needs(distribution=True))
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
def _enlarged(reader: Reader, factor: float) -> Iterator[list[None]]:
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


def _state(answer: Any, layer: int) -> Tensor:
    # Entry 0 of transformers' list is the embedding output: layer i is entry i + 1.
    states = answer.get("decoder_hidden_states") or answer["hidden_states"]
    layers = len(states) - 1
    if not -layers <= layer < layers:
        raise ModelError(f"layer must lie between {-layers} and {layers - 1}, got {layer}.")
    state: Tensor = states[1:][layer]
    return state


def _qkv_modules(model: nn.Module) -> Iterator[tuple[nn.Module, ...]]:
    for module in model.modules():
        children = dict(module.named_children())
        for names in _QKV_NAMES:
            if all(name in children for name in names):
                yield tuple(children[name] for name in names)


@contextmanager
def _captured(layers: Mapping[int, tuple[nn.Module, ...]]) -> Iterator[dict[int, dict[int, Tensor]]]:
    caught: dict[int, dict[int, Tensor]] = {layer: {} for layer in layers}
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, output, layer=layer, place=place: caught[layer].update({place: output})
        )
        for layer, modules in layers.items()
        for place, module in enumerate(modules)
    ]
    try:
        yield caught
    finally:
        for hook in hooks:
            hook.remove()
