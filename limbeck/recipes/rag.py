"""Answers from documents that a search found: what helps is read among what does not.

RAFT (Zhang et al. 2024, arXiv:2403.10131; ShishirPatil/gorilla, `raft/raft.py`). The teacher reads a
question with the documents that help, reasons, quotes them and answers; the student reads the same question
with four other documents beside, in any order, and in a fifth of the rows with other ones alone: it learns
to find what helps, to pass over the rest, and some of the answers. Defaults from there: four distractors,
80 % of the rows with the document that helps. Departures:

- with `corpus` the other documents are those that a search (BM25) found for the question, which are harder
  than the random ones of RAFT and nearer to what a student will read (SAIL, Luo et al. 2023,
  arXiv:2305.15225); rows that have no documents of their own get those that were found with their answer in
  them;
- the baseline reads the documents that help alone, with the same answers, in as many steps: what the others
  teach is what differs, and costs no call;
- both students are measured on held-out questions with the documents that the search found for them, among
  which none may help, against what the teacher answers from the same documents. Without `corpus`: those of
  the row, among distractors;
- no document is reranked, and the student does not say when to search (Self-RAG).
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.data import Data
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS, Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Step


@compared(max_length=2048, per_device_train_batch_size=8)
def rag(
    common: Elicited,
    *,
    corpus: Data | None = None,
    keep: list[str] | None = None,
    corpus_column: str = "text",
    found: Annotated[int, Field(ge=1)] = 5,
    distractors: Annotated[int, Field(ge=0)] = 4,
    without: Share = 0.2,
    learn: Literal["reasoning", "answer"] = "reasoning",
    prompt: str = "retrieve_answer",
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
) -> Recipe:
    """Cross-entropy with a teacher's answers from documents, read among others that do not help.

    `data` are questions, with `documents` (a list of texts) and `helpful` (the places of those that help;
    all, where there is no such column), or with answers and a `corpus`.

    Args:
        corpus: a jsonl, parquet or csv file of texts to search in; none: the rows' own documents.
        keep: of `documents` and `helpful`, those that the rows have; none: `documents`, and with a corpus
            neither.
        corpus_column: of it, with the texts.
        found: documents that are searched for.
        distractors: documents that do not help, for each row.
        without: share of rows whose student reads no document that helps.
        learn: reasons and answer, or the answer alone; the latter is also measured by exact matches.
        prompt: a prompt file; its templates have `documents`.
        max_new_tokens: of reasons and answer.
    """
    read: dict[str, Any] = {"name": "retrieve_answer", "prompt": prompt, "learn": learn}
    read["max_new_tokens"] = max_new_tokens
    asked = {**read, "distractors": distractors, "without": without}
    alone = {**read, "distractors": 0, "without": 0.0}
    kept = keep if keep is not None else [] if corpus is not None else ["documents"]
    making: list[Step] = []
    rows, unseen = ROWS, "rows.heldout"
    test = {**asked, "without": 0.0}
    if corpus is not None:
        search = {"name": "retrieve", "corpus": corpus, "column": corpus_column, "top": found}
        making.append(common.elicited(search, out="searched"))
        making.append(common.elicited({**search, "own": False}, out="searched_unseen", rows=unseen))
        rows, unseen, test = "searched", "searched_unseen", alone
    making.append(common.elicited(asked, out="answered", rows=rows))
    if common.baseline:
        making.append(common.elicited(alone, out="helped", rows=rows))
    making.append(common.elicited(test, out="unseen", rows=unseen))
    exact: dict[str, Any] = {"task": "exact_match", "max_new_tokens": 64} if learn == "answer" else {}
    return common.recipe(
        "rag",
        tuple(making),
        learnt="answered",
        compared="helped",
        rows="unseen",
        of_loading={"keep": kept},
        **exact,
    )
