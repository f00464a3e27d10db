"""UniversalNER: entities of any type, asked for one type after another, learnt from a teacher's lists.

Zhou et al. 2023, arXiv:2308.03279; universal-ner/universal-ner, `src/train/fastchat/train/train.py` and
`src/eval/evaluate.py`. The teacher lists the entities of every passage with types of its own; the student
reads the passage and is asked `What describes TYPE in the text?`, also for types that the passage does not
have, which are drawn by how often others have them. All answers are in the loss. With `labels: own` the
entities are those of rows with tokens and tags, and nobody is asked. Departures:

- the prompts' words are ours; one system prompt, where the official training and serving have two;
- as many absent types as present ones, since the paper does not tell the number;
- the order of the questions is drawn once, from the seed, and not for every epoch;
- answers are read as JSON; the official reading stands beside it (`entity_f1_released`);
- the baseline learns the same lists without absent types, in as many steps, which is the paper's ablation;
  steps and learning rate are ours (LLaMA, 2e-5, 3 epochs, batch 256 there).
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.comparison import compared
from limbeck.recipes.data import Data
from limbeck.recipes.elicited import MEASURED, Elicited
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load, Step

NAME = "universal_ner"


@compared(max_length=1024)
def universal_ner(
    common: Elicited,
    *,
    negatives: Literal["none", "uniform", "frequency"] = "frequency",
    labels: Literal["teacher", "own"] = "teacher",
    exam: Data | None = None,
    prompt: str = NAME,
    elicited_tokens: Annotated[int, Field(ge=1)] = 1024,
    max_new_tokens: Annotated[int, Field(ge=1)] = 256,
    questions: Annotated[int, Field(ge=1)] = 512,
) -> Recipe:
    """Cross-entropy with answers to questions about one type of entity after another.

    Args:
        negatives: types that are not in the passage and are answered by an empty list: none, drawn alike, or
            by how many passages have them.
        labels: whose entities are learnt: the teacher's, or those of rows with tokens and tags (BIO).
        exam: rows with tokens and tags that the students are measured on, asked for every type of theirs;
            none: held-out passages, with the same labels as those that are learnt.
        prompt: how the teacher is asked, and the student: a prompt file, or one of limbeck's.
        elicited_tokens: longest list of the teacher, in tokens.
        max_new_tokens: longest answer of the students, in tokens.
        questions: that they are measured by.
    """
    if negatives == "none" and common.baseline:
        message = (
            "must be false with negatives none, got true: the baseline is the student without negatives."
        )
        raise ConfigError(Problem("baseline", message + " Set baseline=false."))
    options = {
        "name": "extract_entities",
        "prompt": prompt,
        "labels": labels,
        "max_new_tokens": elicited_tokens,
    }

    def asked(out: str, **own: Any) -> Step:
        rows = own.pop("rows", "rows.train")
        return common.elicited({**options, **own}, out=out, rows=rows)

    making: list[Step] = [asked("conversations", negatives=negatives)]
    if common.baseline:
        making.append(asked("without_negatives", negatives="none"))
    if exam is None:
        of_own = "all" if labels == "own" else "frequency"
        making.append(asked("unseen", rows="rows.heldout", negatives=of_own))
    else:
        making += [
            Load(out="exam", path=exam, heldout=0),
            asked("unseen", rows="exam.train", negatives="all", labels="own"),
        ]
    return common.recipe(
        NAME,
        tuple(making),
        learnt="conversations",
        compared="without_negatives",
        rows="unseen",
        metrics=(*MEASURED, "entities"),
        max_new_tokens=max_new_tokens,
        prompts=questions,
    )
