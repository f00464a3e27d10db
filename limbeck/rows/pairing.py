"""Answers to one question, as pairs of a better and a worse one."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from limbeck.core.errors import RowError
from limbeck.core.lineage import FINISHED, ID, PARENTS, is_finished
from limbeck.core.prompting.own import carried, own_answer, own_prompt
from limbeck.core.seeds import generator

Row = Mapping[str, Any]
Rejects = Literal["random", "worst"]


def pairs_by_score(
    rows: Iterable[Row], score: str, *, rejects: Rejects, most: int, seed: int, left: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The best answer to each question, with others of a lower score.

    Args:
        rows: with answers.
        score: column with a number.
        rejects: who is rejected: any with a lower score, or the lowest first.
        most: pairs of a question.
        seed: of what is drawn.
        left: counts questions without a pair, by the reason.

    Raises:
        RowError: a row has no number there.
    """
    for group in questions(rows):
        scores = [_number(row, score) for row in group]
        best = max(range(len(group)), key=lambda place: scores[place])
        others = [place for place in range(len(group)) if scores[place] < scores[best]]
        if not others:
            left["one_answer" if len(group) == 1 else "all_equal"] += 1
            continue
        if rejects == "worst":
            others.sort(key=lambda place: scores[place])
        else:
            others = _drawn(others, group[best], seed)
        for place in others[:most]:
            scored = {"chosen_score": scores[best], "rejected_score": scores[place]}
            yield {**pair(group[best], group[place]), **scored}


def pairs_against(
    rows: Iterable[Row], worse: Iterable[Row], *, most: int, seed: int, left: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Every answer beside ones to the same question that are worse, such as those a gate refused.

    Args:
        rows: with good answers.
        worse: with others; those without an answer, and those that say the same, are passed over.
        most: pairs of a question.
        seed: of what is drawn.
        left: counts questions without a pair, by the reason.
    """
    against = {_key(group[0]): group for group in questions(worse)}
    for group in questions(rows):
        candidates = [
            (good, bad)
            for good in group
            for bad in against.get(_key(group[0]), ())
            if own_answer(bad) is not None and own_answer(bad) != own_answer(good)
        ]
        if not candidates:
            left["no_worse_answer"] += 1
            continue
        for place in _drawn(range(len(candidates)), group[0], seed)[:most]:
            yield pair(*candidates[place])


def questions(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that ask the same, together, in the order in which questions come first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return list(groups.values())


def pair(better: Row, worse: Row) -> dict[str, Any]:
    """A row of preferences; what else the better row has goes on with it.

    Example:
        >>> made = pair({"id": "a", "prompt": "2+2?", "completion": "4"},
        ...             {"id": "b", "prompt": "2+2?", "completion": "5"})
        >>> made["chosen"], made["rejected"], made["parents"]
        ('4', '5', ['a', 'b'])
    """
    asked: Any = own_prompt(better)
    answers: dict[str, Any] = {"chosen": own_answer(better), "rejected": own_answer(worse)}
    if not isinstance(asked, str):
        answers = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {
        **carried(better),
        ID: f"{better[ID]}>{worse[ID]}",
        PARENTS: [str(better[ID]), str(worse[ID])],
        "prompt" if isinstance(asked, str) else "messages": asked,
        **answers,
        # One column for both: an end that was cut must not be learnt.
        FINISHED: is_finished(better) and is_finished(worse),
    }


def _drawn(places: Sequence[int], row: Row, seed: int) -> list[int]:
    order = generator(seed, "pair", str(row[ID])).permutation(len(places))
    return [places[place] for place in order]


def _key(row: Row) -> str:
    return json.dumps(own_prompt(row), sort_keys=True, ensure_ascii=False)


def _number(row: Row, score: str) -> float:
    value = row.get(score)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowError(f"row {row[ID]}: {score} must be a number, got {value!r:.60}. Judge the rows first.")
    return float(value)
