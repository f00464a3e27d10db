"""Optimizer and learning rate of a party."""

from collections.abc import Sequence

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from limbeck.core.term import Trainable
from limbeck.core.training import TrainingSettings


def make_optimizer(
    model: nn.Module, settings: TrainingSettings, trainable: Sequence[Trainable] = ()
) -> AdamW:
    """AdamW; matrices decay, vectors (norms, biases) and trainable hyperparameters do not.

    Args:
        model: what is trained.
        settings: learning rate and moments.
        trainable: modules of objectives, each with its own learning rate.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    apart = [
        {"params": list(one.module.parameters()), "lr": one.learning_rate, "weight_decay": 0.0}
        for one in trainable
    ]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return AdamW(
        [group for group in [*groups, *apart] if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
    )


def make_scheduler(optimizer: Optimizer, settings: TrainingSettings, total_steps: int) -> LambdaLR:
    """transformers' schedule of that name over all steps, warm-up first."""
    warmup = round(settings.warmup_ratio * total_steps)
    options = {"min_lr_rate": 0.1} if settings.lr_scheduler_type == "cosine_with_min_lr" else None
    scheduler: LambdaLR = get_scheduler(
        settings.lr_scheduler_type, optimizer, warmup, total_steps, scheduler_specific_kwargs=options
    )
    return scheduler
