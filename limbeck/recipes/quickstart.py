"""The first still: a shipped code model teaches a student about a quarter of its size, offline, in minutes.

Word-level distillation (Hinton et al. 2015, arXiv:1503.02531) on the standard library's source of
the running Python. Sizes and steps are ours: small enough for two cores. The student has new
weights in the teacher's shape; the baseline starts from the same ones.
"""

from limbeck.recipes.inputs import START
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Build, Evaluate, Load, Step, Train
from limbeck.recipes.students import FreshStudent, ModelStudent
from limbeck.recipes.teachers import ModelTeacher, Teacher
from limbeck.recipes.terms import Term

TEACHER = "code_teacher"
SIZES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "intermediate_size": 352,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
# Many small steps: for equal tokens, 1,600 steps of 256 left the student at 1.77 bits per byte,
# 200 of 2,048 at 2.21.
ROW_TOKENS, ROWS_PER_STEP = 256, 1
MEASURED = 20_000  # held-out positions: seconds to read, and intervals of about 2 %


def quickstart(
    *, max_steps: int = 1000, learning_rate: float = 1e-3, baseline: bool = True, seed: int = 0
) -> Recipe:
    """Forward KL from the shipped code teacher, held against the same student without a teacher.

    Args:
        max_steps: optimizer steps of both trainings.
    """

    def train(out: str, objective: Term, teacher: Teacher | None = None) -> Step:
        return Train(
            out=out,
            student=ModelStudent(model=START),
            teacher=teacher,
            rows="rows.train",
            objective=(objective,),
            learning_rate=learning_rate,
            warmup_ratio=0.2,
            max_steps=max_steps,
            per_device_train_batch_size=ROWS_PER_STEP,
            max_length=ROW_TOKENS,
            seed=seed,
        )

    teacher = ModelTeacher(model=TEACHER)
    return Recipe(
        name="quickstart",
        steps=(
            Load(out="rows", path="standard_library"),
            Build(out=START, student=FreshStudent(fresh=TEACHER, sizes=SIZES), seed=seed),
            *((train("baseline", Term(name="cross_entropy")),) if baseline else ()),
            train("student", Term(name="forward_kl"), teacher),
            Evaluate(
                model="student",
                teacher=teacher,
                baseline="baseline" if baseline else None,
                rows="rows.heldout",
                metrics=("perplexity", "fidelity", "calibration", "generation", "speed"),
                max_length=ROW_TOKENS,
                max_new_tokens=96,
                max_positions=MEASURED,
            ),
        ),
    )
