"""Word-level distillation: at every token of the data, the student learns the teacher's distribution.

Hinton et al. 2015, arXiv:1503.02531; for sequences Kim & Rush 2016, arXiv:1606.07947. Defaults
follow the KD baseline of MiniLLM (microsoft/LMOps, `minillm/finetune.py`, `scripts/gpt2/kd`):
kd_ratio 0.5, weight decay 0.01, cosine, clip 1.0, batch 32, max length 512. Departures:

- the soft part is the KL, not the cross-entropy with the teacher (equal gradients, and 0 when equal);
- means run over the tokens of the whole optimizer step, not of each rank;
- learning rate and epochs are ours: the scripts use 5e-4 for GPT-2 base, 1e-5 for LLaMA, 20 epochs.
"""

from limbeck.recipes.inputs import Columns, Share, StudentLike, common_start
from limbeck.recipes.model import METRICS, Evaluate, Load, Recipe, Step, Train
from limbeck.recipes.parts import Teacher, Term

COMPARED: tuple[METRICS, ...] = ("perplexity", "fidelity", "calibration", "generation", "speed")


def word_kd(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    kd_ratio: Share = 0.5,
    temperature: float = 1.0,
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    learning_rate: float = 1e-4,
    num_train_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 32,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Forward KL from the teacher's token distributions, beside cross-entropy with the data.

    loss = (1 - kd_ratio) * cross_entropy + kd_ratio * forward_kl, each a mean over tokens.
    The baseline is trained on the same rows, in as many steps, with cross-entropy alone.
    """
    made, start = common_start(student, seed=seed)

    def train(out: str, objective: tuple[Term, ...], teacher: Teacher | None = None) -> Step:
        return Train(
            out=out,
            student=start,
            teacher=teacher,
            rows="rows.train",
            objective=objective,
            learning_rate=learning_rate,
            num_train_epochs=num_train_epochs,
            max_steps=max_steps,
            per_device_train_batch_size=per_device_train_batch_size,
            weight_decay=0.01,
            max_length=max_length,
            seed=seed,
        )

    soft = Term(name="forward_kl", weight=kd_ratio, options={"temperature": temperature})
    hard = Term(name="cross_entropy", weight=1 - kd_ratio)
    objective = tuple(term for term in (hard, soft) if term.weight)
    reads_teacher = soft in objective
    compared = train("undistilled", (Term(name="cross_entropy"),))
    return Recipe(
        name="word_kd",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            *((compared,) if baseline else ()),
            train("student", objective, Teacher(model=teacher) if reads_teacher else None),
            Evaluate(
                model="student",
                teacher=Teacher(model=teacher),
                baseline="undistilled" if baseline else None,
                rows="rows.heldout",
                metrics=COMPARED,
                max_length=max_length,
            ),
        ),
    )
