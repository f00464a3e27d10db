"""Conversations that a teacher has with itself, as user and as assistant, learnt turn by turn.

Baize (Xu et al. 2023, arXiv:2304.01196; project-baize/baize-chatbot, `collect.py`) and UltraChat (Ding et al.
2023, arXiv:2305.14233; thunlp/UltraChat). A row's question opens a conversation; the teacher answers, speaks
for the user, answers again, until the user has no more or `turns` are over. A column `persona` says who the
user is. All answers are in the loss. Departures:

- Baize writes a whole conversation in one answer; here every turn is a call of its own, as in UltraChat, so
  that an answer is drawn as a student will be asked for it;
- both students are measured on conversations that the teacher has about held-out questions;
- the baseline learns the first answers of the same conversations alone, in as many steps: what more turns
  teach is what differs; steps and learning rate are ours;
- Baize's self-distillation with feedback is the recipe `feedback`.
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.model import Recipe


@compared()
def conversation(
    common: Elicited,
    *,
    turns: Annotated[int, Field(ge=2)] = 4,
    persona: str = "persona",
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 1.0,
    samples: Annotated[int, Field(ge=1)] = 1,
) -> Recipe:
    """Cross-entropy with the assistant's turns of conversations between the teacher and itself.

    Args:
        turns: of the user at most, the row's own question among them.
        persona: column that says who the user is; rows need not have it.
        samples: conversations that begin with each question.
    """
    asked = {
        "turns": turns,
        "persona": persona,
        "max_new_tokens": max_new_tokens,
        "sampling_temperature": sampling_temperature,
    }
    talk, opening = {"name": "conversation", **asked}, {"name": "conversation", **asked, "turns": 1}
    making = (
        common.elicited(talk, out="conversations", samples=samples),
        *((common.elicited(opening, out="openings", samples=samples),) if common.baseline else ()),
        common.elicited(talk, out="unseen", rows="rows.heldout"),
    )
    return common.recipe("conversation", making, learnt="conversations", compared="openings", rows="unseen")
