"""Decoupled distillation: how likely the label is, and what the other tokens look like, weighed apart.

Zhao et al. 2022, arXiv:2203.08679; for language models the port in SakanaAI/TAID,
`src/distil_losses/dkd.py`, from which the defaults are: alpha 1, beta 0.5, temperature 1, no
cross-entropy beside it (`distil_ratio` 1). Forward KL is the same sum with beta = 1 - p_label at every
token, so beta decides how much is learnt from tokens where the teacher is sure. Departures:

- means run over the tokens that are learnt; the port divides by all positions;
- learning rate, epochs and batch are ours: 1e-4 without warm-up, 5 epochs and batch 64 there;
- for classes, where the paper is at home, beta is tuned per pair of models (2 to 8) and T is 4.
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.inputs import Columns, StudentLike, common_start
from limbeck.recipes.model import Evaluate, Load, Recipe, Step, Train
from limbeck.recipes.parts import Teacher, Term
from limbeck.recipes.word_kd import COMPARED


def decoupled_kd(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    alpha: Annotated[float, Field(ge=0)] = 1.0,
    beta: Annotated[float, Field(ge=0)] = 0.5,
    hard: Annotated[float, Field(ge=0, lt=1)] = 0.0,
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
    """The label against the rest, and the rest among itself, each from the teacher with its weight.

    loss = hard * cross_entropy + (1 - hard) * (alpha * TCKD + beta * NCKD), each a mean over tokens. The
    baseline has forward_kl in the place of the bracket, and learns the same rows in as many steps.
    """
    made, start = common_start(student, seed=seed)
    soft = round(1 - hard, 12)
    warm = {"temperature": temperature, "temperature_squared": True} if temperature != 1 else {}

    def train(out: str, term: Term) -> Step:
        return Train(
            out=out,
            student=start,
            teacher=Teacher(model=teacher),
            rows="rows.train",
            objective=tuple(one for one in (Term(name="cross_entropy", weight=hard), term) if one.weight),
            learning_rate=learning_rate,
            num_train_epochs=num_train_epochs,
            max_steps=max_steps,
            per_device_train_batch_size=per_device_train_batch_size,
            weight_decay=0.01,
            max_length=max_length,
            seed=seed,
        )

    decoupled = Term(name="decoupled_kd", weight=soft, options={"alpha": alpha, "beta": beta, **warm})
    return Recipe(
        name="decoupled_kd",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            *((train("forward", Term(name="forward_kl", weight=soft, options=warm)),) if baseline else ()),
            train("student", decoupled),
            Evaluate(
                model="student",
                teacher=Teacher(model=teacher),
                baseline="forward" if baseline else None,
                rows="rows.heldout",
                metrics=COMPARED,
                max_length=max_length,
            ),
        ),
    )
