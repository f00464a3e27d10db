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

from limbeck.recipes.comparison import compared
from limbeck.recipes.encoders import Encoders
from limbeck.recipes.inputs import START, StudentLike, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.students import CutStudent
from limbeck.recipes.terms import Layers, Term


@compared(heldout=0.05, learning_rate=6e-4, num_train_epochs=1.0, max_steps=1000)
def minilm(
    usual: Encoders,
    *,
    student: StudentLike | None = None,
    layers: int = 6,
    relation_heads: int = 12,
    teacher_layer: int = -1,
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
    wanted = student or CutStudent(cut=usual.teacher, layers=layers)
    made, start = common_start(wanted, seed=usual.seed)
    term = Term(
        name="relation_kl",
        layers=Layers(student=(-1,), teacher=(teacher_layer,)),
        options={"relation_heads": relation_heads},
    )
    return usual.recipe(
        "minilm",
        (
            *made,
            usual.train("student", start, (term,), usual.teacher, model_kind="encoder", warmup_ratio=0.01),
        ),
        teacher=usual.teacher,
        baseline=START if made else None,
        model_kind="encoder",
        metrics=("similarity", "speed"),
    )
