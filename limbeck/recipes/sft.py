"""Supervised fine-tuning: the student learns the data itself; the baseline of every method.

Maximum likelihood on the answers. Defaults follow MiniLLM's SFT script (microsoft/LMOps,
`scripts/gpt2/sft`): weight decay 0.01, cosine, clip 1.0, batch 32, max length 512. Departure:
learning rate and epochs are ours (5e-4 for GPT-2 base, 1e-5 for LLaMA, 20 epochs there).
"""

from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import Columns, StudentLike
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Load, Train
from limbeck.recipes.students import Student
from limbeck.recipes.terms import Term


def sft(
    *,
    student: StudentLike,
    data: Data,
    columns: Columns | None = None,
    heldout: float = 0.05,
    learning_rate: Rate = "auto",
    num_train_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 32,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with the answers of the data; no teacher.

    Args:
        student: the model that is trained: a folder, a hub id, {cut: DIR, layers: 6}, {prune: DIR, ratio:
            0.6} or {fresh: DIR, sizes: {...}}.
    """
    return Recipe(
        name="sft",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            Train(
                out="student",
                student=Student.model_validate(student),
                rows="rows.train",
                objective=(Term(name="cross_entropy"),),
                learning_rate=learning_rate,
                num_train_epochs=num_train_epochs,
                max_steps=max_steps,
                per_device_train_batch_size=per_device_train_batch_size,
                weight_decay=0.01,
                max_length=max_length,
                seed=seed,
            ),
            Evaluate(
                model="student",
                rows="rows.heldout",
                metrics=("perplexity", "calibration", "generation", "speed"),
                max_length=max_length,
            ),
        ),
    )
