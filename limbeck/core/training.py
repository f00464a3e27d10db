"""Settings of a training step, under Hugging Face's names."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from limbeck.core.config import Config

SCHEDULER_TYPES = Literal["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_min_lr"]

TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")
"""What `report_to` may name: the trackers of accelerate."""

AUTO = "auto"
"""The learning rate that is chosen by what is trained and its size (`runs.assembly.learning_rates`)."""

WITHOUT_EFFECT = frozenset({"save_steps", "logging_steps", "report_to"})
"""Settings that change what is told and kept, and no result: a finished training stays finished."""


def _trackers(value: Any) -> Any:
    """A word for a list of one, and words that no tracker has refused."""
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else value
    if words in (None, ["none"], [""]):
        return ()
    for word in words if isinstance(words, list | tuple) else ():
        if word not in TRACKERS:
            raise ValueError(f"must be among {', '.join(TRACKERS)}, got {word}.")
    return words


def _rate(value: Any) -> Any:
    """One message in the place of one for each kind of value that a rate may be."""
    try:
        right = value == AUTO or float(value) > 0
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(f"must be auto or a number above 0, got {value!r}.")
    return value


Rate = Annotated[float | Literal["auto"], BeforeValidator(_rate)]
"""A peak learning rate, or the word `auto`."""


class TrainingSettings(Config):
    """How to train; every name means what it means in `transformers.TrainingArguments`.

    One optimizer step sees `per_device_train_batch_size` entries (rows, or packs of rows)
    x `gradient_accumulation_steps` x the number of ranks.
    """

    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate of AdamW")
    num_train_epochs: float = Field(default=1.0, gt=0, description="passes over the training rows")
    max_steps: int = Field(default=-1, ge=-1, description="overrides num_train_epochs when above 0")
    per_device_train_batch_size: int = Field(
        default=8, ge=1, description="rows per batch and device; packs of rows with packing"
    )
    gradient_accumulation_steps: int = Field(default=1, ge=1, description="batches per optimizer step")
    warmup_ratio: float = Field(
        default=0.0, ge=0, le=1, description="share of the steps in which the learning rate rises from 0"
    )
    lr_scheduler_type: SCHEDULER_TYPES = Field(
        default="cosine", description="of the learning rate after the warm-up"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="of AdamW, on matrices")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="of AdamW")
    adam_beta2: float = Field(
        default=0.95, ge=0, lt=1, description="of AdamW"
    )  # short runs: 0.999 averages over 1,000 steps
    adam_epsilon: float = Field(default=1e-8, gt=0, description="of AdamW")
    max_grad_norm: float = Field(default=1.0, ge=0, description="0 switches clipping off")
    max_length: int = Field(default=1024, ge=2, description="tokens of one row, and of one pack")
    max_target_length: int = Field(default=256, ge=1, description="tokens of a seq2seq target")
    packing: bool = Field(default=True, description="lay rows end to end (causal models)")
    order: Literal["shuffled", "given", "competence"] = Field(
        default="shuffled",
        description="in which rows come; given: as they lie there; competence: drawn among the first, of "
        "which more come into reach as training goes on. Other than shuffled, rows are not packed",
    )
    competence_start: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="share of the rows in reach of order: competence at the beginning",
    )
    competence_shape: Literal["sqrt", "linear"] = Field(
        default="sqrt", description="how that share rises to 1 over the training"
    )
    bf16: bool = Field(default=False, description="mixed precision; weights stay in float32")
    gradient_checkpointing: bool = Field(
        default=False, description="recompute activations: less memory, more time"
    )
    fused: bool = Field(default=True, description="objectives straight from hidden states and heads")
    seed: int = Field(default=0, ge=0, description="of shuffling, sampling and new weights")
    save_steps: int | None = Field(default=200, ge=1, description="null: only when interrupted")
    logging_steps: int = Field(default=1, ge=1, description="optimizer steps per line of metrics.jsonl")
    report_to: Annotated[tuple[str, ...], BeforeValidator(_trackers)] = Field(
        default=(), description="trackers: wandb, tensorboard, ..."
    )
    lora_r: int = Field(default=0, ge=0, description="rank of LoRA adapters; 0: all weights are trained")
    lora_alpha: int = Field(default=16, ge=1, description="LoRA scales its update by alpha / r")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout in front of the adapters")
    lora_target_modules: tuple[str, ...] = Field(
        default=(), description="names of modules that get adapters; none: all linear ones"
    )
    router_aux_loss_coef: float | None = Field(
        default=None,
        ge=0,
        description="weight of the balance loss of a student with experts; null: as its config.json has it",
    )

    @model_validator(mode="after")
    def _has_a_length(self) -> "TrainingSettings":
        if self.max_steps == 0:
            raise ValueError("max_steps must be -1 (use num_train_epochs) or at least 1, got 0.")
        return self
