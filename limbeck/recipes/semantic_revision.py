"""MGSR: mend one token of each sample, learn where the teacher is dense, and how neighbours go together.

Liu et al. 2024, arXiv:2407.10068; no official code is known. The student's samples come and go as in
DistiLLM. In each, the teacher replaces the token of largest KL among those it disagrees with, and the
student writes on from there. Beside cross-entropy: a KL over a window of the teacher's mass that a
small network learns to choose, and the relation of neighbouring tokens inside phrases. Departures:

- weights are 1 as in the paper, but the span relation is divided by the teacher's own relation: the
  bare products are around 1e-6;
- cross-entropy is with the data's answers only, not with mended samples;
- phrases are found by a rule without a tagger (`rows.spans`), and what the window's network reads is
  ours (`objectives.trainable.clip_window`);
- learning rate and epochs are ours.
"""

from typing import Annotated

from pydantic import Field

from limbeck.core.rollouts import Replay
from limbeck.recipes.batches import Rollouts
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term, Trainable
from limbeck.recipes.validation import Validation


@compared()
def semantic_revision(
    common: Comparison,
    *,
    corrections: Annotated[int, Field(ge=0)] = 1,
    window_learning_rate: float = 1e-3,
    tolerance: float = 0.1,
    capacity: Annotated[int, Field(ge=1)] = 1000,
    validate_every: Annotated[int, Field(ge=1)] = 100,
    max_new_tokens: int = 128,
    sampling_temperature: float = 1.0,
    validation: float = 0.05,
    sft_steps: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """Cross-entropy, KL over a trainable window, and span relation, on the data and on corrected samples.

    Args:
        corrections: tokens that the teacher replaces in each sample; 1, 3 and 5 came out alike in the
            paper.
        window_learning_rate: learning rate of the window of the teacher's distribution.
    """
    rollouts = Rollouts(
        student={"schedule": "adaptive_share", "tolerance": tolerance},
        draw="step",
        replay=Replay(capacity=capacity),
        corrections=corrections,
        max_new_tokens=max_new_tokens,
        sampling_temperature=sampling_temperature,
    )
    window = Trainable(module="clip_window", learning_rate=window_learning_rate)
    return common.recipe(
        "semantic_revision",
        (
            Term(name="cross_entropy", on="data"),
            Term(name="clipped_kl", trainable=window),
            Term(name="span_relation"),
        ),
        rollouts=rollouts,
        validation=Validation(rows="rows.validation", every=validate_every),
        validation_share=validation,
        sft_steps=sft_steps,
    )
