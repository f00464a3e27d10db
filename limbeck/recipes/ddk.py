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

from limbeck.recipes.batches import Domains
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term
from limbeck.recipes.validation import Validation


@compared()
def ddk(
    common: Comparison,
    *,
    domain: str = "domain",
    kd_weight: float = 0.2,
    direction: Literal["forward", "reverse"] = "forward",
    smoothing: Share = 0.5,
    update_every: Annotated[int, Field(ge=1)] = 100,
    validation_rows: Annotated[int, Field(ge=1)] = 500,
    validation: float = 0.05,
) -> Recipe:
    """Cross-entropy and KL on domains drawn by the gap in perplexity.

    Args:
        domain: column of the data that names a row's domain.
        kd_weight: weight of the KL beside cross-entropy.
        direction: forward is KL(teacher || student), reverse is KL(student || teacher).
        smoothing: alpha: share of the perplexity gap in how often a domain is drawn; the rest is uniform.
        update_every: optimizer steps between two measurements of the gap.
        validation_rows: rows of each domain that the gap is measured on.
    """
    return common.recipe(
        "ddk",
        (Term(name="cross_entropy"), Term(name=f"{direction}_kl", weight=kd_weight)),
        domains=Domains(column=domain, smoothing=smoothing),
        validation=Validation(
            rows="rows.validation", every=update_every, perplexities_by=domain, limit=validation_rows
        ),
        validation_share=validation,
    )
