"""LoRA: students that learn a small correction to frozen weights (the only file that knows peft)."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn
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
        target_modules: names of linear layers (`q_proj`), or `all-linear`: all but the head.

    Returns:
        The PEFT model around `model`.

    Raises:
        UserError: peft is not installed.
        ModelError: a name that no linear layer has, or a number out of range.

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
    if not isinstance(target_modules, str):
        _check_targets(model, target_modules)
    config = peft.LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=target_modules if isinstance(target_modules, str) else list(target_modules),
        task_type=_task(model),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    adapted: nn.Module = peft.get_peft_model(model, config)
    return adapted


def merge_lora(model: nn.Module) -> PreTrainedModel:
    """A plain model whose weights include the adapters' correction; `model` itself if it has none.

    The merged model is a copy; the adapted one can be trained on.
    """
    return merged(model)


def _check_targets(model: nn.Module, targets: Sequence[str]) -> None:
    # peft itself takes a list of which one name fits: a typo would train less than was asked for.
    names = [name for name, module in model.named_modules() if _is_linear(module)]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            ends = {name.rsplit(".", 1)[-1] for name in names}
            raise ModelError(
                f"target_modules must name linear layers of {type(model).__name__}, got '{target}'."
                + did_you_mean(target, ends)
            )


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, Conv1D))  # Conv1D: GPT-2's transposed Linear


def _task(model: Any) -> str:
    name = type(model).__name__
    return next((task for suffix, task in _TASKS if name.endswith(suffix)), "FEATURE_EXTRACTION")
