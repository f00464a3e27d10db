"""Names that other programs have for settings, and what they are called here."""

from collections.abc import Mapping

from limbeck.core.errors import Problem

_WATCH = (
    "Held-out rows are measured at the end; while training, write steps.rows.validation=0.05 and "
    "steps.student.validation='{rows: rows.validation, every: 100}'."
)

ALIASES: Mapping[str, str] = {
    "lr": "learning_rate",
    "batch_size": "per_device_train_batch_size",
    "train_batch_size": "per_device_train_batch_size",
    "micro_batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "num_epochs": "num_train_epochs",
    "steps": "max_steps",
    "train_steps": "max_steps",
    "accumulation_steps": "gradient_accumulation_steps",
    "grad_accum": "gradient_accumulation_steps",
    "scheduler": "lr_scheduler_type",
    "clip": "max_grad_norm",
    "clip_grad": "max_grad_norm",
    "context_length": "max_length",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "model_max_length": "max_length",
    "max_source_length": "max_length",
    "max_grad_clip": "max_grad_norm",
    "beta1": "adam_beta1",
    "beta2": "adam_beta2",
    "lora_rank": "lora_r",
    "target_modules": "lora_target_modules",
    "data_seed": "seed",
    "activation_checkpointing": "gradient_checkpointing",
    "max_completion_length": "max_new_tokens",
    "cutoff_len": "max_length",
    "seq_len": "max_length",
    "test_size": "heldout",
    "val_size": "validation",
    "dataset": "data",
    "dataset_name": "data",
    "train_file": "data",
    "model": "student",
    "model_name_or_path": "student",
    "student_model": "student",
    "teacher_model": "teacher",
    "teacher_model_name_or_path": "teacher",
    "output_dir": "--out",
    "out": "--out",
}

INSTEAD: Mapping[str, str] = {
    "optim": "AdamW is the optimizer: adam_beta1, adam_beta2, adam_epsilon, weight_decay. Leave it out.",
    "warmup_steps": "Write warmup_ratio, the share of all steps: 0.1 for 10 of 100.",
    "dtype": "It belongs to a model: student='{model: DIR, dtype: bfloat16}'.",
    "torch_dtype": "It belongs to a model: student='{model: DIR, dtype: bfloat16}'.",
    "trust_remote_code": "It belongs to a model: teacher='{model: DIR, trust_remote_code: true}'.",
    "attn_implementation": "transformers' own choice for the model is taken. Leave it out.",
    "fp16": "Write bf16=true; float16 is not offered.",
    "tf32": "It is torch's to set. Leave it out.",
    "save_total_limit": "One checkpoint is kept, the newest. Leave it out.",
    "save_strategy": "Checkpoints are written every save_steps steps. Leave it out.",
    "logging_strategy": "Lines are written every logging_steps steps. Leave it out.",
    "logging_dir": "What report_to names logs below the run folder. Leave it out.",
    "run_name": "The run folder is the name: --out FOLDER. Leave it out.",
    "resume_from_checkpoint": "A run goes on by itself when the same command is given. Leave it out.",
    "overwrite_output_dir": "Write --overwrite.",
    "label_smoothing_factor": "A teacher's distribution is the softer label (forward_kl). Leave it out.",
    "neftune_noise_alpha": "Noise on embeddings is not offered. Leave it out.",
    "dataloader_num_workers": "Rows are tokenised once, before training. Leave it out.",
    "dataloader_pin_memory": "Rows are tokenised once, before training. Leave it out.",
    "dataset_num_proc": "Rows are tokenised once, before training. Leave it out.",
    "dataset_text_field": "Write columns='{text: NAME}'.",
    "remove_unused_columns": "Columns that nothing reads do no harm. Leave it out.",
    "group_by_length": "Rows are packed instead: packing=true, the default. Leave it out.",
    "completion_only_loss": "Answers alone are in the loss; loss_on=all takes prompts in. Leave it out.",
    "assistant_only_loss": "Assistant turns alone are in the loss (loss_on). Leave it out.",
    "train_on_inputs": "Write loss_on=all.",
    "eval_strategy": _WATCH,
    "evaluation_strategy": _WATCH,
    "eval_steps": _WATCH,
    "do_eval": _WATCH,
    "per_device_eval_batch_size": "Write steps.evaluation.batch_size=8.",
    "use_peft": "Write lora_r=16.",
    "use_lora": "Write lora_r=16.",
    "lora": "Write lora_r=16.",
    "gradient_checkpointing_kwargs": "The kind that works everywhere is taken. Leave it out.",
    "ddp_find_unused_parameters": "All parameters take part in every step. Leave it out.",
    "max_prompt_length": "Prompt and answer share max_length. Leave it out.",
    "load_best_model_at_end": "The student is the one after the last step. Leave it out.",
    "metric_for_best_model": "The student is the one after the last step. Leave it out.",
    "auto_find_batch_size": "`limbeck plan` tells what memory a batch takes. Leave it out.",
    "push_to_hub": "The student is a plain folder, RUN/student, to upload when it is good. Leave it out.",
}
"""Fields of other trainers that are none here, and what to write instead."""


def said_elsewhere(problem: Problem) -> Problem:
    """A problem with an unknown key, with what to write instead where other programs have that key."""
    word = problem.where.rpartition(".")[2]
    if not problem.message.startswith(f"unknown key '{word}'."):
        return problem
    if word in INSTEAD:
        return Problem(problem.where, f"unknown key '{word}'. {INSTEAD[word]}")
    if word in ALIASES and not ALIASES[word].startswith("-"):
        return Problem(problem.where, f"unknown key '{word}'. Did you mean '{ALIASES[word]}'?")
    return problem
