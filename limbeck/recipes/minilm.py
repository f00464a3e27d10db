"""MiniLMv2: a smaller encoder learns the teacher's self-attention relations, on text without labels.

Wang et al. 2020, arXiv:2012.15828 (v1: arXiv:2002.10957); training code in bloomberg/minilmv2.bb,
`minilmv2/minilmv2.py` and `run.sh`. Defaults from there: query, key and value relations of one
layer each, weight 1/3 each (the mean inside `relation_kl`), learning rate 6e-4, 4,000 of 400,000
steps warm-up, weight decay 0.01. Departures:

- the student keeps layers of the teacher instead of starting from new weights;
- 12 relation heads, not 48: they divide the width of small encoders too (384 and 768);
- 1,000 steps of 32 rows, not 400,000 of 256: kept layers are adapted, not pretrained;
- for teachers of 24 layers the paper takes an upper middle layer: `teacher_layer=20`.
"""

from limbeck.recipes.inputs import START, Columns, StudentLike, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.parts import Student, Teacher
from limbeck.recipes.steps import Evaluate, Load, Train
from limbeck.recipes.terms import Layers, Term


def minilm(
    *,
    teacher: str,
    data: str,
    student: StudentLike | None = None,
    layers: int = 6,
    relation_heads: int = 12,
    teacher_layer: int = -1,
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    learning_rate: float = 6e-4,
    num_train_epochs: float = 1.0,
    max_steps: int = 1000,
    per_device_train_batch_size: int = 32,
    max_length: int = 128,
    seed: int = 0,
) -> Recipe:
    """KL of attention relations between the student's last layer and one layer of the teacher.

    Without `student`, it is the teacher cut to `layers`, evenly spaced. There is no way to train
    an encoder on plain text without a teacher here, so the baseline is the student before training.

    Args:
        teacher: the encoder that teaches: a folder or hub id.
        student: the encoder that is trained; null cuts the teacher to `layers`.
        layers: layers that are kept of the teacher, evenly spaced, where there is no student.
        relation_heads: heads that queries, keys and values are split into; must divide both widths.
        teacher_layer: layer of the teacher that is matched, from 0; -1 is the last.
    """
    made, start = common_start(student or Student(cut=teacher, layers=layers), seed=seed)
    term = Term(
        name="relation_kl",
        layers=Layers(student=(-1,), teacher=(teacher_layer,)),
        options={"relation_heads": relation_heads},
    )
    return Recipe(
        name="minilm",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            Train(
                out="student",
                student=start,
                teacher=Teacher(model=teacher),
                rows="rows.train",
                objective=(term,),
                model_kind="encoder",
                learning_rate=learning_rate,
                lr_scheduler_type="linear",
                warmup_ratio=0.01,
                weight_decay=0.01,
                adam_beta2=0.999,
                num_train_epochs=num_train_epochs,
                max_steps=max_steps,
                per_device_train_batch_size=per_device_train_batch_size,
                max_length=max_length,
                packing=False,
                seed=seed,
            ),
            Evaluate(
                model="student",
                teacher=Teacher(model=teacher),
                baseline=START if baseline and made else None,
                rows="rows.heldout",
                metrics=("similarity", "speed"),
                model_kind="encoder",
                max_length=max_length,
            ),
        ),
    )
