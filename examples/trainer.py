"""transformers' Trainer with a teacher: offline, on a laptop CPU, in under a minute.

python examples/trainer.py OUT
"""

import sys

from datasets import Dataset
from transformers import TrainingArguments

import limbeck
from limbeck.assets import asset_path
from limbeck.core.models import load_model, load_tokenizer
from limbeck.students import keep_layers

ROWS = [{"text": f"def times_{n}(x):\n    return x * {n}\n\n\nprint(times_{n}({n}))\n"} for n in range(64)]


def main(out: str, steps: int = 10) -> dict[str, float]:
    """Distil the shipped code model into one of half its depth; what `evaluate` measures."""
    place = asset_path("code_teacher")
    teacher, tokenizer = load_model(place, "causal"), load_tokenizer(place)
    student = keep_layers(teacher, range(0, teacher.config.num_hidden_layers, 2))
    trainer = limbeck.DistilTrainer(
        model=student,
        teacher=teacher,
        processing_class=tokenizer,
        objective=[{"name": "forward_kl", "weight": 0.9}, {"name": "cross_entropy", "weight": 0.1}],
        max_length=64,
        train_dataset=Dataset.from_list(ROWS[:56]),
        eval_dataset=Dataset.from_list(ROWS[56:]),
        args=TrainingArguments(
            out,
            max_steps=steps,
            learning_rate=1e-3,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            logging_steps=5,
            report_to=[],
            save_strategy="no",
        ),
    )
    trainer.train()
    trainer.save_model()  # a plain transformers folder, tokenizer included
    return trainer.evaluate()


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
