"""LoRA: students that learn a small correction to frozen weights (the only file that knows peft)."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from limbeck.core.errors import ModelError, UserError
from limbeck.core.lookup import did_you_mean
from limbeck.core.models import merged

AllLinear = Literal["all-linear"]

_TASKS = (
    ("ForSequenceClassification", "SEQ_CLS"),  # peft then trains and saves the head as well
    ("ForConditionalGeneration", "SEQ_2_SEQ_LM"),
    ("ForCausalLM", "CAUSAL_LM"),
    ("LMHeadModel", "CAUSAL_LM"),
)
# Whose fused kernels read these weights without calling the layer; peft refuses them.
_KERNELS = ("mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h")
_IN_KERNELS = ("out_proj", "conv1d")
_TOKENS = 8


def add_lora(
    model: PreTrainedModel,
    *,
    r: int,
    alpha: float,
    dropout: float,
    target_modules: Sequence[str] | AllLinear,
) -> nn.Module:
    """Freeze `model` and put LoRA adapters into it; until trained they change nothing.

    Args:
        model: changed in place; a classifier's head stays trainable.
        r: rank of the correction.
        alpha: the correction is scaled by alpha / r.
        dropout: on the adapters' input, in [0, 1).
        target_modules: names of linear layers (`q_proj`), or `all-linear`: all but the head, and but those
            that an adapter could not speak for.

    Returns:
        The PEFT model around `model`.

    Raises:
        UserError: peft is not installed.
        ModelError: a name that no linear layer has, a layer that shares its weight with another or whose
            weight is read without calling it, or a number out of range.

    Source:
        Hu et al. 2021, arXiv:2106.09685, as implemented in peft.
    """
    try:
        import peft
    except ImportError:
        raise UserError("LoRA must have peft, got none installed. Run: pip install limbeck[peft]") from None
    if r < 1:
        raise ModelError(f"r must be at least 1, got {r}.")
    if not 0 <= dropout < 1:
        raise ModelError(f"dropout must lie in [0, 1), got {dropout}.")
    unfit = dict(_unfit(model))
    if not isinstance(target_modules, str):
        _check_targets(model, target_modules, unfit)
    config = peft.LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=target_modules if isinstance(target_modules, str) else list(target_modules),
        exclude_modules=sorted(unfit) if isinstance(target_modules, str) else None,
        task_type=_task(model),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    try:
        adapted: nn.Module = peft.get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(f"target_modules must fit {type(model).__name__}, got: {error}") from error
    return adapted


def merge_lora(model: nn.Module) -> PreTrainedModel:
    """A plain model whose weights include the adapters' correction; `model` itself if it has none.

    The merged model is a copy; the adapted one can be trained on.
    """
    return merged(model)


def said_of_lora(model: nn.Module, *, r: int) -> str:
    """A sentence on how much of an adapted model is trained."""
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    frozen = sum(one.numel() for name, one in model.named_parameters() if "lora_" not in name)
    layers = sum(name.endswith("lora_A") for name, _ in model.named_modules())
    return (
        f"LoRA of rank {r} on {layers} layers: {trained:,} weights are trained, {frozen:,} lie beneath; "
        "merged where the student is saved."
    )


def _check_targets(model: nn.Module, targets: Sequence[str], unfit: Mapping[str, str]) -> None:
    # peft itself takes a list of which one name fits: a typo would train less than was asked for.
    names = [name for name, module in model.named_modules(remove_duplicate=False) if _is_linear(module)]
    for target in targets:
        found = [name for name in names if _fits(name, target)]
        if not found:
            ends = {name.rsplit(".", 1)[-1] for name in names}
            raise ModelError(
                f"target_modules must name linear layers of {type(model).__name__}, got '{target}'."
                + did_you_mean(target, ends)
            )
        wrong = next((name for name in found if name in unfit), None)
        if wrong is not None:
            raise ModelError(
                f"target_modules must name layers of {type(model).__name__} that can be adapted, got "
                f"'{target}'; {unfit[wrong]}. Leave it out."
            )


def _fits(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _unfit(model: Any) -> Iterator[tuple[str, str]]:
    """Names of linear layers with which merging would not give what was trained, and why."""
    linear = {name: one for name, one in model.named_modules(remove_duplicate=False) if _is_linear(one)}
    owners = Counter(id(one) for _, one in _owned(model))
    kernels = model.config.model_type in _KERNELS
    for name, module in linear.items():
        if owners[id(module.weight)] > 1:
            yield name, "it shares its weight with another layer, which merging would change too"
        elif kernels and name.rsplit(".", 1)[-1] in _IN_KERNELS:
            yield name, f"fused kernels of {model.config.model_type} read its weight without calling it"
    if next(model.parameters()).device.type != "meta":
        for name in _read_directly(model, linear):
            yield name, "the model reads its weight without calling it, and would never see the adapter"


def _owned(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every place of every parameter; a module that is used twice counts once."""
    for module in model.modules():
        yield from ((name, one) for name, one in module._parameters.items() if one is not None)


@torch.no_grad()
def _read_directly(model: Any, linear: Mapping[str, nn.Module]) -> Collection[str]:
    """Names of layers that are not called in a pass and whose weights change its result all the same."""
    called: set[int] = set()
    hooks = [one.register_forward_hook(lambda module, *_: called.add(id(module))) for one in linear.values()]
    was_training = model.training
    model.eval()
    try:
        before = _read(model)
        found = []
        for name, module in linear.items():
            if id(module) in called:
                continue
            weight: Tensor = module.weight  # type: ignore[assignment]
            kept = weight.clone()
            weight.add_(1.0)
            if not torch.equal(_read(model), before):
                found.append(name)
            weight.copy_(kept)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return found


def _read(model: Any) -> Tensor:
    size = model.config.get_text_config().vocab_size
    ids = torch.arange(1, 1 + _TOKENS, device=next(model.parameters()).device)[None] % size
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    answer: Tensor = model(**inputs)[0]
    return answer


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, Conv1D))  # Conv1D: GPT-2's transposed Linear


def _task(model: Any) -> str:
    name = type(model).__name__
    return next((task for suffix, task in _TASKS if name.endswith(suffix)), "FEATURE_EXTRACTION")
