"""Names that other programs have for settings, and what they are called here."""

from collections.abc import Mapping

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
