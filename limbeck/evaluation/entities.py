"""How many of a text's entities each subject finds, asked for one type after another."""

import json
import re
import string
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from limbeck.core.positions import positions_of
from limbeck.core.seeds import generator
from limbeck.evaluation.data import Array, EvaluationData
from limbeck.evaluation.prompts import learnt_stretches, prompt_room
from limbeck.evaluation.settings import EvaluatedModel
from limbeck.evaluation.statistics import Estimate, Rows, compared
from limbeck.evaluation.written import own_formats
from limbeck.inference.generate import generate
from limbeck.inference.request import TokenIds

DEFINITION = (
    "Every question of a held-out conversation that is answered by a JSON list is asked by itself, behind "
    "the turns before the first one, and answered greedily. Precision, recall and F1 count entities over all "
    "questions together; an entity is right when its letters are, without case, punctuation, articles and "
    "blanks around (Zhou et al. 2023). What is no JSON list counts as none. Released: as the authors' code "
    "reads answers, which ends a list at the first closing bracket, and needs it at the very start. "
    "Invented: share of the questions for a type that the text does not have that are answered by an entity. "
    "Intervals: 95 %, over texts."
)
_NOTHING = (
    "Nothing was measured: no answer of a held-out conversation is a JSON list, no question leaves room for "
    "its answer, or the first letter of every list shares a token with what stands before it, as where a "
    "chat template has no special token there. The operator extract_entities makes such rows."
)

ABILITY = "writes"
MEASURES = {
    "entity_f1": {
        "label": "F1 of entities",
        "heading": "entity F1",
        "form": "share",
        "better": "higher",
        "difference": "the F1 of entities",
        "leads": True,
        "rank": 55,
    },
    "entity_precision": {
        "label": "precision of entities", "form": "share", "better": "higher", "rank": 56,
    },
    "entity_recall": {"label": "recall of entities", "form": "share", "better": "higher", "rank": 57},
    "entity_f1_released": {
        "label": "F1 of entities, as released", "form": "share", "better": "higher", "compared": False,
        "rank": 58,
    },
    "invented": {
        "label": "absent types answered by an entity", "form": "share", "better": "lower", "rank": 59,
    },
}  # fmt: skip

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_RELEASED = re.compile(r"\[(.*?)\]")


class Question(NamedTuple):
    """One question about a text.

    Attributes:
        row: id of its row.
        place: of the answer among the row's learnt stretches.
        ids: what is read.
        gold: entities, as the answer in the row lists them.
    """

    row: str
    place: int
    ids: list[int]
    gold: str


def entities(evidence: EvaluationData) -> dict[str, Any]:
    """Precision, recall and F1 of entities over all questions, and how often an absent type is answered."""
    groups = [evidence, *own_formats(evidence), *evidence.others]
    asked = [_questions(group) for group in groups]
    common = set.intersection(*({(one.row, one.place) for one in questions} for questions in asked))
    chosen = _drawn(asked[0], common, evidence)
    if not chosen:
        return {"definition": _NOTHING, "questions": 0, "texts": 0, "subjects": _unmeasured(evidence)}
    answers: dict[str, list[str]] = {}
    gold: dict[str, list[str]] = {}
    for group, questions in zip(groups, asked, strict=True):
        by_key = {(one.row, one.place): one for one in questions}
        own = [by_key[key] for key in chosen]
        for subject in (one for one in group.writers if one.prompts is None or group is not evidence):
            answers[subject.name] = _answered(subject, own, evidence, len(answers))
            gold[subject.name] = [one.gold for one in own]
    names: dict[str, int] = {}
    row = [names.setdefault(one, len(names)) for one, _ in chosen]
    rows = Rows(row, resamples=evidence.settings.resamples, seed=evidence.settings.seed)
    counted = {name: _Counts(rows, said, gold[name], entities_in) for name, said in answers.items()}
    subjects = {}
    for name, said in answers.items():
        released = _Counts(rows, said, gold[name], released_entities_in)
        subjects[name] = counted[name].measures() | {"entity_f1_released": released.f1()}
        evidence.keep("entity_f1", name, list(names), *counted[name].f1_parts)
    first = next(iter(answers))
    return {
        "definition": DEFINITION,
        "questions": len(chosen),
        "texts": len(names),
        "max_new_tokens": evidence.settings.max_new_tokens,
        "subjects": subjects,
        "comparisons": [
            _compared(rows, student.name, baseline.name, counted) for student, baseline in evidence.pairs
        ],
        "answers": [
            {"row": one, "gold": gold[first][place], **{name: said[place] for name, said in answers.items()}}
            for place, (one, _) in enumerate(chosen[: evidence.settings.n_samples])
        ],
    }


def _unmeasured(evidence: EvaluationData) -> dict[str, Any]:
    nothing: Estimate = {"value": None, "n": 0, "rows": 0, "interval": None}
    return {one.name: dict.fromkeys(MEASURES, nothing) for one in evidence.everyone if not one.is_mean}


def normalised(text: str) -> str:
    """An entity without case, punctuation, articles and blanks around.

    Example:
        >>> [normalised(text) for text in ("The  U.S.", "C++", "a")]
        ['us', 'c', '']
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def released_entities_in(text: str) -> list[str]:
    """The entities of an answer as the authors' code reads them: a list at the very start, to its first `]`.

    Example:
        >>> [released_entities_in(text) for text in ('["X.", "the x"] etc', ' ["x"]', '["x [1]", "y"]')]
        [['x'], [], []]

    Source:
        universal-ner/universal-ner, `src/eval/evaluate.py:parser`; its branch for lists in a list is never
        reached, as such an answer ends at the inner list and is no JSON.
    """
    found = _RELEASED.match(text)
    try:
        items = json.loads(found.group() if found else "[]")
        return list(dict.fromkeys(normalised(one) for one in items))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []


def entities_in(text: str) -> list[str]:
    """The entities of an answer: the texts of the JSON list that it begins with, blanks before left out.

    An entity of which nothing is left when it is normalised, such as `++`, stays as it is written.

    Example:
        >>> [entities_in(text) for text in (' ["X.", "the x"]', '["x [1]", "++"] so', "none", '["x"')]
        [['x'], ['x 1', '++'], [], []]
    """
    return _listed(text) or []


def _listed(text: str) -> list[str] | None:
    """The same; None where the answer is no list of texts."""
    try:
        items, _ = json.JSONDecoder().raw_decode(text.strip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list) or not all(isinstance(one, str) for one in items):
        return None
    return list(dict.fromkeys(normalised(one) or one.strip() for one in items))


class _Counts:
    """Right, said and true entities of one subject, within each row."""

    def __init__(
        self, rows: Rows, said: Sequence[str], gold: Sequence[str], read: Callable[[str], list[str]]
    ) -> None:
        found = [(read(one), read(other)) for one, other in zip(said, gold, strict=True)]
        self._rows = rows
        self._right = rows.sums([len(set(one) & set(other)) for one, other in found])
        self._said = rows.sums([len(one) for one, _ in found])
        self._true = rows.sums([len(other) for _, other in found])
        self._is_absent = np.array([not other for _, other in found])
        self._is_invented = np.array([bool(one) and not other for one, other in found], dtype=np.float64)

    @property
    def f1_parts(self) -> tuple[Array, Array]:
        """F1 is the one over the other: 2 right / (said + true)."""
        return 2 * self._right, self._said + self._true

    def f1(self) -> Estimate:
        return self._rows.ratio(*self.f1_parts)

    def measures(self) -> dict[str, Estimate]:
        return {
            "entity_f1": self.f1(),
            "entity_precision": self._rows.ratio(self._right, self._said),
            "entity_recall": self._rows.ratio(self._right, self._true),
            "invented": self._rows.mean(self._is_invented, self._is_absent),
        }


def _compared(rows: Rows, student: str, baseline: str, counted: dict[str, _Counts]) -> dict[str, Any]:
    change = rows.difference(counted[student].f1_parts, counted[baseline].f1_parts)
    return compared("entity_f1", student, baseline, change, higher_is_better=True)


def _questions(evidence: EvaluationData) -> list[Question]:
    """All questions whose answers are lists, in the tokens of the subjects."""
    tokenizer = evidence.subjects[0].tokenizer
    room = prompt_room(
        evidence.settings, (positions_of(subject.model.config) for subject in evidence.writers)
    )
    found = []
    for stretches in learnt_stretches(evidence):
        texts = tokenizer.batch_decode(
            [one.answer for one in stretches], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        opening: list[int] = []
        is_open = False
        for place, (one, text) in enumerate(zip(stretches, texts, strict=True)):
            if _listed(text) is None:
                if not is_open:
                    opening = [*opening, *one.before, *one.answer]
                continue
            is_open = True
            # Without turns that open the conversation, what a question is about stands before the first one.
            ids = [*(opening or [token for read in stretches[:place] for token in read.all]), *one.before]
            if room is None or len(ids) <= room:
                found.append(Question(one.row, place, ids, text))
    return found


def _drawn(
    questions: Sequence[Question], common: set[tuple[str, int]], evidence: EvaluationData
) -> list[tuple[str, int]]:
    """Questions of whole rows in random order, up to `prompts`."""
    by_row: dict[str, list[tuple[str, int]]] = {}
    for one in questions:
        if (one.row, one.place) in common:
            by_row.setdefault(one.row, []).append((one.row, one.place))
    names = list(by_row)
    order = generator(evidence.settings.seed, "prompts").permutation(len(names)).tolist()
    drawn = [key for place in order for key in by_row[names[place]]]
    return drawn[: evidence.settings.prompts]


def _answered(
    subject: EvaluatedModel, questions: Sequence[Question], evidence: EvaluationData, place: int
) -> list[str]:
    share = len(evidence.everyone)
    written = generate(
        subject.model,
        [one.ids for one in questions],
        tokenizer_or_ids=TokenIds.of(subject.tokenizer, subject.model),
        max_new_tokens=evidence.settings.max_new_tokens,
        vocabulary=subject.reader.vocabulary,
        progress=lambda done: evidence.progress("entities", min((place + done) / share, 1.0)),
    )
    texts: list[str] = subject.tokenizer.batch_decode(
        [one.content for one in written], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return texts
