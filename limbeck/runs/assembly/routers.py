"""The router's balance loss of a student with experts: its weight, who sets it, and whether it is known.

transformers adds it to the loss of its models where `output_router_logits` is true in their configuration,
with the weight `router_aux_loss_coef`.
"""

import inspect
import sys
from typing import Any

import torch
from transformers import PreTrainedConfig

from limbeck.core.errors import ConfigError
from limbeck.core.kinds import KindName
from limbeck.core.models.config import skeleton
from limbeck.core.signals.routing import Routing, routed_tokens
from limbeck.core.term import Term
from limbeck.objectives.router_balance import router_balance
from limbeck.runs.assembly.models import ModelInfo

FIELD = "router_aux_loss_coef"
_IN_CONFIG = (FIELD, "aux_loss_coef", "moe_loss_weight")  # as it is called in JetMoe and DBRX
_TRIED = (2, 3, 2, 4)  # rows, tokens, layers and experts of the routing that a model's own loss is tried on


def check_routers(given: float | None, shape: ModelInfo, kind: KindName) -> list[str]:
    """A sentence on the balance loss of a student that is known by its shape, where there is one.

    Raises:
        ConfigError: see `router_term`.
    """
    if not given and _coefficient(shape.config) is None:
        return []
    student = skeleton(shape.config, kind)
    term = router_term(given, student)
    return [said_of_routers(given, student, term)] if _is_known(student) else []


def router_term(given: float | None, student: Any) -> Term | None:
    """The balance loss as a term of a training; None where it has no weight.

    Args:
        given: its weight; None: what the student's configuration says.
        student: without adapters.

    Raises:
        ConfigError: it is asked for, and the student has none or not the one of Switch Transformers.
    """
    weight = router_weight(given, student.config)
    if not weight:
        return None
    if not _is_known(student):
        if given is None and not _has_one(student):
            return None  # transformers adds none either
        raise ConfigError(
            f"{FIELD} must be 0 for a {type(student).__name__}, got {weight:g}"
            f"{'' if given else ' from its configuration'}; it has no balance loss of the form that Mixtral "
            "has. Set it to 0 to train without."
        )
    signals = ("student_routing", "routed_shares")
    return Term("router_balance", router_balance, signals, weight=weight, regularises=True)


def router_weight(given: float | None, config: PreTrainedConfig) -> float:
    """The weight of the balance loss: the one given, else what a configuration says; 0 for none."""
    if given is not None:
        return given
    asks = bool(getattr(config.get_text_config(), "output_router_logits", False))
    return _coefficient(config) or 0.0 if asks else 0.0


def said_of_routers(given: float | None, student: Any, term: Term | None) -> str:
    """Whether the balance loss of a student with experts is in the loss, and who says so."""
    whose = f"{FIELD} of the {'step' if given is not None else 'student'}"
    if term is not None:
        return f"The router's balance loss is in the loss with weight {term.weight:g} ({whose})."
    if given is None and not getattr(student.config.get_text_config(), "output_router_logits", False):
        usual = _coefficient(student.config) or 0.001  # as most have it
        return (
            "The router's balance loss is not in the loss (output_router_logits of the student is false); "
            f"{FIELD}={usual:g} adds it."
        )
    return f"The router's balance loss is not in the loss ({whose} is 0)."


def _coefficient(config: PreTrainedConfig) -> float | None:
    text = config.get_text_config()
    places = (text, getattr(text, "ffn_config", None))  # the latter in DBRX
    found = (getattr(place, name, None) for place in places for name in _IN_CONFIG)
    return next((float(one) for one in found if one is not None), None)


def _has_one(model: Any) -> bool:
    """Whether a model's own forward can add a balance loss of some form."""
    return _own_loss(model) is not None and "output_router_logits" in _arguments(type(model).forward)


def _is_known(model: Any) -> bool:
    """Whether it is the loss of `objectives.router_balance`: its own function is tried on a few numbers."""
    if not _has_one(model) or model.config.is_encoder_decoder:
        return False
    own = _own_loss(model)
    if _arguments(own)[1:] != ["num_experts", "top_k", "attention_mask"]:
        return False
    if not all(hasattr(model, name) for name in ("num_experts", "num_experts_per_tok")):
        return False
    rows, tokens, layers, experts = _TRIED
    logits = torch.randn(_TRIED, generator=torch.Generator().manual_seed(0))
    read = torch.ones(rows, tokens, dtype=torch.bool)
    read[-1, -1] = False
    by_layer = tuple(logits[:, :, layer].reshape(rows * tokens, experts) for layer in range(layers))
    expected = own(by_layer, experts, 2, read.long())
    routing = Routing(logits, logits.softmax(-1).topk(2).indices)
    values = router_balance(routing, (routed_tokens(routing, read) / read.sum()).float())
    return bool(torch.isclose(values[read].mean(), torch.as_tensor(expected), rtol=1e-5))


def _own_loss(model: Any) -> Any:
    return getattr(sys.modules[type(model).__module__], "load_balancing_loss_func", None)


def _arguments(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)
