"""DDK: draw more of the domains in which the student lags behind its teacher.

Liu et al. 2024, arXiv:2407.16154; no official code is known. loss = cross_entropy + 0.2 * forward KL;
every `update_every` steps the perplexities of student and teacher are compared in each domain, and the
domains are drawn anew: weights w * exp(ratio), half smoothed towards equal. Departures:

- the KL is forward, KL(teacher || student), as in the paper's own baseline; its equation is printed
  with the student first (`direction="reverse"`);
- a ratio of perplexities counts as 5 at most: its exponential would leave one domain alone;
- until the first comparison, domains are equal; the paper draws from the corpus as it lies;
- steps are fewer than the paper's 30,000, so weights change every 100 of them instead of 1,000.
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.recipes.comparison import Comparison
from limbeck.recipes.inputs import Columns, Share, StudentLike
from limbeck.recipes.model import Domains, Recipe, Watch
from limbeck.recipes.parts import Term


def ddk(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    domain: str = "domain",
    kd_weight: float = 0.2,
    direction: Literal["forward", "reverse"] = "forward",
    smoothing: Share = 0.5,
    update_every: Annotated[int, Field(ge=1)] = 100,
    validation_rows: Annotated[int, Field(ge=1)] = 500,
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    validation: float = 0.05,
    learning_rate: float = 1e-4,
    num_train_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 32,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy and KL on domains drawn by the gap in perplexity.

    domain: the column of the data that names them.
    """
    common = Comparison(
        teacher=teacher,
        student=student,
        data=data,
        columns=columns,
        heldout=heldout,
        baseline=baseline,
        validation=validation,
        settings={
            "learning_rate": learning_rate,
            "num_train_epochs": num_train_epochs,
            "max_steps": max_steps,
            "per_device_train_batch_size": per_device_train_batch_size,
            "max_length": max_length,
            "seed": seed,
        },
    )
    return common.recipe(
        "ddk",
        (Term(name="cross_entropy"), Term(name=f"{direction}_kl", weight=kd_weight)),
        domains=Domains(column=domain, smoothing=smoothing),
        watch=Watch(
            rows="rows.validation", every=update_every, perplexities_by=domain, limit=validation_rows
        ),
    )
