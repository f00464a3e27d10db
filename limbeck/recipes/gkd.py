"""Generalised distillation: the student writes part of what it learns, the teacher judges every token.

Agarwal et al. 2024, arXiv:2306.13649. No official code; TRL's `GKDTrainer` is the usual reference.
Defaults are the paper's: half of the sequences are the student's, JSD with beta 0.5, sampling at
temperature 1, mean over each sequence first. Departures:

- each row draws its source, as in the paper's expectation; TRL draws once for a whole batch;
- learning rate and epochs are ours: the paper tunes them per task, from a fine-tuned student
  (`sft_steps` trains one first).
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.recipes.batches import Rollouts
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def gkd(
    common: Comparison,
    *,
    on_policy: Share = 0.5,
    divergence: Literal["jsd", "forward_kl", "reverse_kl"] = "jsd",
    beta: Share = 0.5,
    temperature: float = 1.0,
    max_new_tokens: int = 128,
    sampling_temperature: float = 1.0,
    sft_steps: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """A divergence at every token of a mixture of the data's and the student's own sequences.

    Args:
        on_policy: the paper's lambda: share of rows whose answer the student generates; 0 is supervised,
            1 fully on-policy.
        divergence: between the distributions of teacher and student, at every token.
        beta: the teacher's share in the mixture of jsd; the other divergences have none.
    """
    options = {"temperature": temperature} | ({"beta": beta} if divergence == "jsd" else {})
    rollouts = None
    if on_policy:
        rollouts = Rollouts(
            student=on_policy, max_new_tokens=max_new_tokens, sampling_temperature=sampling_temperature
        )
    return common.recipe(
        "gkd",
        (Term(name=divergence, mean="sequence", options=options),),
        rollouts=rollouts,
        sft_steps=sft_steps,
    )
