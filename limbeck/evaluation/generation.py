"""What each subject writes when it continues held-out prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limbeck.evaluation.answers import final_answer, same_answer
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.statistics import Estimate, Rows, compared
from limbeck.evaluation.study import rationale_bleu
from limbeck.evaluation.tasks import TASKS
from limbeck.evaluation.written import Texts, written
from limbeck.inference.request import Completion

DEFINITION = (
    "Greedy completions of the same held-out prompts by every subject. Length: new tokens without the end "
    "token. Stopped at EOS: share that ended before the limit. Repetition: share of the sequences of four "
    "tokens in a completion that stand in it before. Intervals: 95 %, Wilson's for shares."
)
_SEQUENCE = (
    4  # tokens; the habit of papers on degenerate text (seq-rep-4: Welleck et al. 2020, arXiv:1908.04319)
)

_SEVERAL = (
    "Subjects with another tokenizer than the first student's continue the same text, read in their own "
    "tokens; the limit counts each subject's own tokens, and their length is not given."
)

ABILITY = "writes"
MEASURES = {
    "task": {
        "label": "task passed",
        "heading": "task",
        "form": "share",
        "better": "higher",
        "difference": "the share of prompts that pass the task",
        "rank": 60,
    },
    "answer_agreement": {
        "label": "agreement in the final answer",
        "form": "share",
        "better": "higher",
        "of_teacher": True,
        "rank": 61,
    },
    "rationale_bleu": {
        "label": "BLEU with the teacher's text",
        "form": "score",
        "better": "higher",
        "of_teacher": True,
        "rank": 62,
    },
    "repetition": {
        "label": "repeated sequences of four tokens",
        "form": "share",
        "better": "lower",
        "compared": False,
        "rank": 63,
    },
    "stopped": {"label": "stopped at EOS", "form": "share", "compared": False, "rank": 64},
    "length": {"label": "length, tokens", "rank": 65},
}


def generation(evidence: EvaluationData) -> dict[str, Any]:
    """Greedy completions of held-out prompts: length, stop rate, task share, samples side by side."""
    settings, made = evidence.settings, written(evidence)
    prompts, texts, rows, said = made.prompts, made.texts, made.rows, made.said
    passed_over = made.passed_over
    subjects: dict[str, dict[str, Any]] = {
        name: {
            "length": rows.mean([len(completion.content) for completion in completions]),
            "stopped": rows.mean([completion.stopped for completion in completions]),
            "repetition": repetition(rows, [completion.content for completion in completions]),
        }
        for name, completions in made.completions.items()
    }
    for subject in evidence.everyone:
        if subject not in evidence.subjects:
            del subjects[subject.name]["length"]  # its tokens are others
    shown = range(min(settings.n_samples, len(prompts)))
    cut = texts.after_prompts([prompt.reference[: settings.max_new_tokens] for prompt in prompts])
    over = [f"{passed_over:,} prompts left no room in a context and were passed over."] if passed_over else []
    result: dict[str, Any] = {
        "definition": " ".join([DEFINITION, *([_SEVERAL] if evidence.others else []), *over]),
        "prompts": len(prompts),
        "passed_over": passed_over,
        "max_new_tokens": settings.max_new_tokens,
        "reference_repetition": repetition(
            rows, [prompt.reference[: settings.max_new_tokens] for prompt in prompts]
        ),
        "subjects": subjects,
        "comparisons": [],
        "samples": [
            {
                "row": prompts[place].row,
                "prompt": texts.prompts[place],
                "reference": cut[place],
                "texts": {name: values[place] for name, values in said.items()},
            }
            for place in shown
        ],
    }
    return (
        result
        if settings.task is None
        else result | _judged(evidence, rows, texts, made.completions, said, subjects)
    )


def repetition(rows: Rows, texts: Sequence[Sequence[int]]) -> Estimate:
    """Share of sequences of four tokens that stand earlier in the same text; shorter texts do not count."""
    sequences = [
        [tuple(text[at : at + _SEQUENCE]) for at in range(len(text) - _SEQUENCE + 1)] for text in texts
    ]
    totals = rows.sums([len(found) - len(set(found)) for found in sequences])
    return rows.ratio(totals, rows.sums([len(found) for found in sequences]))


def _judged(
    evidence: EvaluationData,
    rows: Rows,
    texts: Texts,
    completions: dict[str, list[Completion]],
    said: dict[str, list[str]],
    subjects: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The task's part of the result; adds the `task` share to each subject."""
    task = evidence.settings.task
    assert task is not None
    judge = TASKS[task]
    prompts = [""] * len(texts.prompts)
    if not evidence.kind.encoder_decoder:
        prompts = [
            _with_what_precedes(prompt, evidence.rows.get(evidence.row_id(row), {}))
            for prompt, row in zip(texts.prompts, texts.rows, strict=True)
        ]
    passed = {
        name: np.array(
            [
                judge.passes(prompt, text, reference, completion.stopped)
                for prompt, text, reference, completion in zip(
                    prompts, said[name], texts.references, completed, strict=True
                )
            ],
            dtype=np.float64,
        )
        for name, completed in completions.items()
    }
    ones, ids = rows.sums(np.ones(len(prompts))), list(dict.fromkeys(map(evidence.row_id, texts.rows)))
    for name, values in passed.items():
        subjects[name]["task"] = rows.mean(values)
        evidence.keep("task", name, ids, rows.sums(values), ones)
    teacher = next((subject.name for subject in evidence.everyone if subject.role == "teacher"), None)
    if task == "final_answer" and teacher in said:
        _hold_against_teacher(str(teacher), evidence, rows, ids, said, subjects)
    comparisons = []
    for student, baseline in evidence.pairs:
        change = rows.difference(
            (rows.sums(passed[student.name]), ones), (rows.sums(passed[baseline.name]), ones)
        )
        comparisons.append(compared("task", student.name, baseline.name, change, higher_is_better=True))
    told: dict[str, Any] = {"name": task, "rule": judge.rule}
    if judge.null:
        passes = [
            judge.passes(prompt, judge.null, reference, True)
            for prompt, reference in zip(prompts, texts.references, strict=True)
        ]
        told["null"] = {"text": judge.null, "passed": rows.mean(passes)}
    return {"task": told, "comparisons": comparisons}


def _with_what_precedes(prompt: str, row: Mapping[str, Any]) -> str:
    """A window's prompt with the text before it: a judge of a text must not take a window for its start."""
    text = row.get("text")
    place = text.find(prompt) if isinstance(text, str) else -1
    return prompt if place < 0 else str(text)[:place] + prompt


def _hold_against_teacher(
    teacher: str,
    evidence: EvaluationData,
    rows: Rows,
    ids: list[str],
    said: dict[str, list[str]],
    subjects: dict[str, dict[str, Any]],
) -> None:
    """Adds to each student whether it ends with the teacher's answer, and the BLEU of what it wrote."""
    guide = said[teacher]
    answers = [final_answer(text) for text in guide]
    known = np.array([bool(answer) for answer in answers])
    for student in (one for one in evidence.everyone if one.name != teacher):
        own = [final_answer(text) for text in said[student.name]]
        same = np.array([same_answer(a, b) for a, b in zip(own, answers, strict=True)], dtype=np.float64)
        subjects[student.name]["answer_agreement"] = rows.mean(same, known)
        totals, counts = rows.sums(same, known), rows.sums(np.ones(len(same)), known)
        evidence.keep("answer_agreement", student.name, ids, totals, counts)
        subjects[student.name]["rationale_bleu"] = {
            "value": rationale_bleu(said[student.name], guide),
            "n": len(guide),
            "rows": rows.count,
            "interval": None,
        }
