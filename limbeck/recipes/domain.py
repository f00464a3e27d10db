"""A domain: its texts become questions, with answers that are held to the texts, for a student.

The way of vertical models in the survey of Xu et al. 2024 (arXiv:2402.13116, section on verticalisation): a
corpus, questions about it, answers by a teacher, judged, and general rows mixed in. A domain is a file with
prompts, gates and sources: [law](../domains/law.md), [medicine](../domains/medicine.md),
[finance](../domains/finance.md), [science](../domains/science.md), [code](../domains/code.md) and
[recommendation](../domains/recommendation.md) are shipped; copy one for yours. No paper fixes the numbers;
these are choices of ours:

- the teacher reads a text and is asked for questions, then reads it again with one of them and answers; the
  student reads the question alone: what it learns is the domain, not to read (that is the recipe `rag`);
- an answer that the teacher says it cannot give, that was cut, that a gate of the domain refuses, or that a
  judge does not find in the text, is not learnt. The judge is the teacher itself if you name no other one,
  and then likes its own answers;
- half of what is learnt are general rows, where they are given;
- the baseline learns all answers that came to an end, the refused ones among them, in as many steps, with the
  same general rows: what judging teaches is what differs, and costs nothing more;
- both students are measured by slice: on held-out texts of the domain, with judged questions and answers of
  their own, and on held-out general rows, which say what was lost for it.
"""

from typing import Annotated, Any

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.data import Data
from limbeck.recipes.domains import Domain, read_domain
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.general import GENERAL, mixed
from limbeck.recipes.inputs import ROWS, Share, TeacherLike, as_teacher
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Gate, Step

_GIVEN_UP = {"name": "format", "forbidden": "UNANSWERED"}


@compared(heldout=0.1, max_length=1024)
def domain(
    common: Elicited,
    *,
    domain: str,
    judge: TeacherLike | None = None,
    general: Data | None = None,
    general_share: Share = 0.5,
    general_heldout: float = 0.05,
    questions: Annotated[int, Field(ge=1)] = 3,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.7,
) -> Recipe:
    """Cross-entropy with judged answers to questions about the texts of a domain, beside general rows.

    `data` is the corpus: rows of text, short enough for the teacher to read one whole.

    Args:
        domain: law, medicine, finance, science, code, recommendation, or a file of yours.
        judge: who checks answers against their texts; none: the teacher.
        general: rows of prompts with answers that are mixed in: a file, a folder or a hub id.
        general_share: of them in what is learnt.
        general_heldout: of them kept out to evaluate on: a share below 1, or a number of rows.
        questions: that are asked for about each text.
        max_new_tokens: of a list of questions, and of an answer.
        sampling_temperature: of questions; answers are greedy.
    """
    known = read_domain(domain)
    listing = {
        "name": "questions",
        "prompt": known.questions,
        "count": questions,
        "max_new_tokens": max_new_tokens,
        "sampling_temperature": sampling_temperature,
    }
    answering = {
        "name": "answer",
        "prompt": known.answer,
        "max_new_tokens": max_new_tokens,
        "sampling_temperature": 0.0,
    }

    def asked(rows: str, prefix: str) -> tuple[Step, ...]:
        return (
            common.elicited(listing, out=f"{prefix}questions", rows=rows),
            common.elicited(answering, out=f"{prefix}drafts", rows=f"{prefix}questions", gates=("finished",)),
            _judged(known, common, judge, out=f"{prefix}answers", rows=f"{prefix}drafts"),
        )

    own = ("answers", *(("drafts",) if common.baseline else ()))
    steps, learnt = mixed(common, own, general, general_share, heldout=general_heldout, chat=False)
    recipe = common.recipe(
        "domain",
        (*asked(ROWS, ""), *asked("rows.heldout", "unseen_"), *steps),
        learnt=learnt[0],
        compared=learnt[-1],
        rows="unseen_answers",
    )
    if general is None or not general_heldout:
        return recipe
    kept = common.evaluated(out=f"{GENERAL}_evaluation", rows=f"{GENERAL}.heldout")
    return recipe.model_copy(update={"steps": (*recipe.steps, kept)})


def _judged(known: Domain, common: Elicited, judge: TeacherLike | None, **of_step: Any) -> Gate:
    """Cheap gates first, then the judge."""
    score = {"name": "judge", "prompt": known.judge.prompt, "minimum": known.judge.minimum}
    gates = (_GIVEN_UP, *known.gates, score)
    return Gate.model_validate(
        {"gates": gates, "judge": as_teacher(common.teacher if judge is None else judge), **of_step}
    )
