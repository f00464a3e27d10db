"""Impossible Distillation: learn to paraphrase from sentences that a weak model writes in one place.

Jung et al. 2023, arXiv:2305.16635; jaehunjung1/impossible-distillation, `pipeline/`. A language model that
cannot paraphrase continues a text many times from the same point; of all pairs of its next sentences
critics keep those that say the same in other words: length, entailment both ways, one pair for each
meaning, numbers, and few words in common. A student learns these pairs; then it rewrites sentences itself,
the same critics judge its answers, and a student learns the best one for each sentence (self-distillation).
Defaults from there: 100 texts, 100 continuations, edges 0.8 and 1.5, probability 0.75, ROUGE-L 0.75, 10
rewritings at temperature 0.7 and top-p 0.9. Departures:

- the critic of numbers refuses lost numbers, too; the official one never finds them (`compat: released` in
  the gate);
- critics that cost nothing judge before the model of entailment, and one pair for each meaning is chosen
  last, so that no pair stands for its set and is refused afterwards;
- the student of the second stage starts where that of the first did, in as many steps, and the first one is
  the baseline; the paper's students are T5 with 770M parameters, steps and learning rate are ours;
- of the student's rewritings the one with the lowest ROUGE-L is kept, as in the code; its comment says the
  one that entails the sentence least;
- both students are measured on pairs that the weak model wrote behind beginnings that were held out;
- summaries and control codes are left out.
"""

from typing import Annotated, Any

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit, Gate, Select
from limbeck.recipes.teachers import ModelTeacher

BEFORE = "prompt"
"""The sentence that another one says anew, as a column of the rows."""


@compared(heldout=0.2)
def impossible(
    common: Elicited,
    *,
    critic: str,
    contexts: Annotated[int, Field(ge=1)] = 100,
    candidates: Annotated[int, Field(ge=2)] = 100,
    most_pairs: Annotated[int, Field(ge=1)] | None = None,
    entailed: Annotated[float, Field(ge=0, le=1)] = 0.75,
    most_overlap: Annotated[float, Field(ge=0, le=1)] = 0.75,
    rewritings: Annotated[int, Field(ge=1)] = 10,
    rewriting_temperature: Annotated[float, Field(gt=0)] = 0.7,
    max_new_tokens: Annotated[int, Field(ge=1)] = 100,
) -> Recipe:
    """Cross-entropy with pairs of sentences that a weak model wrote and critics kept, then with its own.

    Args:
        teacher: the weak model, which continues plain text: an endpoint with completions, a folder or an id.
        data: what texts begin with, such as `LONDON (Reuters) --`, a row each.
        critic: classifier of pairs of texts with a class `entailment`: folder or id.
        contexts: texts that the weak model begins with each row.
        candidates: continuations of each.
        most_pairs: of each text; none: all, which are thousands.
        entailed: least probability that either sentence follows from the other.
        most_overlap: highest ROUGE-L between the two.
        rewritings: of each sentence by the student of the first stage.
        rewriting_temperature: of them.
        max_new_tokens: longest continuation or rewriting, in tokens.
    """
    made, start = common_start(common.student, seed=common.seed)
    free, entails, once = _critics(entailed, most_overlap)
    pairs = {
        "name": "sentence_pairs",
        "contexts": contexts,
        "candidates": candidates,
        "most_pairs": most_pairs,
        "max_new_tokens": max_new_tokens,
    }
    pairs = {name: value for name, value in pairs.items() if value is not None}

    def judged(out: str, rows: str, *gates: dict[str, Any], **more: Any) -> Gate:
        return Gate.model_validate({"out": out, "rows": rows, "gates": gates, **more})

    rewritten = Elicit.model_validate(
        {
            "out": "rewritten",
            "teacher": ModelTeacher(model="first"),
            "rows": "sentences",
            "samples": rewritings,
            "seed": common.seed,
            "operator": {
                "name": "answer",
                "sampling_temperature": rewriting_temperature,
                "top_p": 0.9,
                "max_new_tokens": max_new_tokens,
            },
        }
    )
    of_critic = {"classifier": critic}
    return Recipe(
        name="impossible",
        steps=(
            common.loaded(),
            *made,
            common.elicited(pairs, out="pairs"),
            judged("paraphrases", "pairs", *free, entails, once, **of_critic),
            common.elicited(pairs, out="unseen_pairs", rows="rows.heldout"),
            judged("unseen", "unseen_pairs", *free, entails, once, **of_critic),
            common.trained("first", start, "paraphrases"),
            judged("sentences", "pairs", {"name": "exact_duplicate", "columns": [BEFORE]}),
            rewritten,
            judged("better", "rewritten", *free, entails, **of_critic),
            Select.model_validate(
                {
                    "out": "best",
                    "rows": "better",
                    "selector": {"name": "top_k", "highest": False},
                    "scores": "verdicts.overlap",
                    "budget": 1,
                    "within": BEFORE,
                }
            ),
            common.trained("student", start, "best"),
            common.evaluated(baseline="first" if common.baseline else None, rows="unseen"),
        ),
    )


def _critics(
    entailed: float, most_overlap: float
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Those that cost nothing, that of entailment, and the one for pairs of one meaning."""
    free: list[dict[str, Any]] = [
        {"name": "length", "min": 0.8, "max": 1.5, "relative_to": BEFORE},
        {"name": "numbers_agree", "relative_to": BEFORE},
        {"name": "overlap", "relative_to": BEFORE, "maximum": most_overlap},
    ]
    entails = {"name": "entailment", "direction": "both", "threshold": entailed}
    return free, entails, {"name": "entailed_duplicate"}
