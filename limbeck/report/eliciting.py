"""What a teacher was asked and what became of its answers: yield of each gate, cost, failures, a few rows."""

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from limbeck.core.files import read_mapping
from limbeck.core.lineage import ASKED, REASONING, TERMS, VERDICTS
from limbeck.core.prompting.own import said
from limbeck.report.record import Record
from limbeck.report.samples import shown, title_of
from limbeck.report.words import count, percent

_YIELD, _ROWS, _REJECTED = "yield.json", "rows", "rejected"
_SHOWN, _SHOWN_REJECTED = 3, 2  # rows of a step
_BESIDE = ("rationale", "rejected")  # that are learnt, too
_ANSWERS = ("completion", "answer", "chosen", "label", "text")
_PROMPTS = ("prompt", "question", "text", "text_a")


def elicited(record: Record, run_folder: Path) -> list[dict[str, Any]]:
    """Each step that made or judged rows, in order.

    Returns:
        [{out, kind, facts [(title, text)], gates [{gate, judged, rejected, share, reasons, scores}],
        failures, samples [{title, pieces [(title, text)]}]}]; texts as `report.samples` shows them.
    """
    found = []
    for place, step in enumerate(record.steps):
        folders = list(run_folder.glob(f"steps/{place}-{step.get('kind')}-{step.get('out')}"))
        told = read_mapping(folders[0] / _YIELD) if folders else None
        if told is not None:
            found.append(_one(step, told, folders[0]))
    return found


def _one(step: Mapping[str, Any], told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    kept, refused = _first(folder / _ROWS, _SHOWN), _first(folder / _REJECTED, _SHOWN_REJECTED)
    return {
        "out": step.get("out", ""),
        "kind": step.get("kind", ""),
        "facts": list(_facts(told, kept)),
        "gates": [
            {**_gate(gate), "scores": _spread(spread)}
            for gate, spread in zip_longest(told.get("gates", ()), told.get("spreads", ()))
        ],
        "failures": _listed(told.get("failures") or {}),
        "samples": [*map(_kept, kept), *map(_refused, refused)],
    }


def _facts(told: Mapping[str, Any], rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    candidates, accepted = told.get("candidates") or 0, told.get("accepted") or 0
    share = f" ({percent(accepted / candidates)})" if candidates else ""
    yield "Accepted", f"{accepted:,} of {candidates:,} candidates{share}"
    for gate, mean in (told.get("scores") or {}).items():
        yield f"Mean score of {gate}", f"{mean:.3g}"
    calls, cached = told.get("calls") or 0, told.get("cached") or 0
    if calls:
        yield "Calls", f"{calls:,}, of which {percent(cached / calls)} were kept already"
        yield (
            "Tokens",
            f"{count(told.get('tokens_in') or 0)} read, {count(told.get('tokens_out') or 0)} written",
        )
    if told.get("cost") is not None and told.get("currency"):
        spent = f", {told['spent']} of it in this run" if told.get("spent") is not None else ""
        yield "Cost", f"{told['cost']} {told['currency']}{spent}"
        if told.get("cost_per_accepted"):
            yield "Cost an accepted row", f"{told['cost_per_accepted']} {told['currency']}"
    elif calls:
        yield "Cost", "not known: no price was given"
    if told.get("failed"):
        yield "Without an answer", f"{told['failed']:,}"
    terms = next((row[TERMS] for row in rows if row.get(TERMS)), None)
    if terms:
        yield "May its answers train other models?", str(terms)


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    judged, rejected = gate.get("judged") or 0, gate.get("rejected") or 0
    return {
        "gate": gate.get("gate", ""),
        "judged": f"{judged:,}",
        "rejected": f"{rejected:,}",
        "share": percent((judged - rejected) / judged) if judged else "",
        "reasons": _listed(gate.get("reasons") or {}),
    }


def _spread(scores: Mapping[str, float] | None) -> str:
    """Of what a gate measured, in its own unit."""
    if scores is None or scores["low"] == scores["high"]:
        return "" if scores is None else f"{scores['mean']:.4g}"
    low, median, high = (f"{scores[name]:.4g}" for name in ("low", "median", "high"))
    return f"{median} ({low} to {high})"


def _listed(reasons: Mapping[str, int]) -> str:
    ordered = sorted(reasons.items(), key=lambda one: -one[1])
    return ", ".join(f"{reason} {number:,}" for reason, number in ordered)


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row that is learnt from: what the teacher read, what the student reads, and the answer."""
    prompt, answer = _exchange(row)
    pieces = [("Asked", _as_sent(row)), ("The student reads", prompt), ("Answer", answer)]
    pieces += [(name.capitalize(), said(row[name])) for name in _BESIDE if row.get(name)]
    if row.get(REASONING):
        pieces.insert(2, ("Thoughts", str(row[REASONING])))
    return _sample(prompt, pieces)


def _refused(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row that is not, with who refused it and why."""
    prompt, answer = _exchange(row)
    last = next((one for one in _verdicts(row) if not one.get("passed")), {})
    why = f"{last.get('gate', '')}: {last.get('reason', '')}"
    detail = last.get("detail")
    told = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)
    reply = detail.get("reply", "") if isinstance(detail, Mapping) else ""
    pieces = [("Asked", _as_sent(row)), ("Answer", answer or str(reply)), ("Refused", f"{why}\n{told or ''}")]
    return _sample(f"refused by {why}: {prompt}", pieces)


def _sample(title: str, pieces: list[tuple[str, str]]) -> dict[str, Any]:
    return {"title": title_of(title), "pieces": [(name, shown(text)) for name, text in pieces if text]}


def _exchange(row: Mapping[str, Any]) -> tuple[str, str]:
    """What the student reads, and what it learns to write."""
    turns = row.get("messages")
    if turns:
        *before, last = turns if turns[-1].get("role") == "assistant" else (*turns, {"content": ""})
        return _told(before), str(last.get("content") or "")
    prompt = next((row[name] for name in _PROMPTS if row.get(name)), "")
    answer = next((row[name] for name in _ANSWERS if row.get(name) and row[name] != prompt), "")
    return (prompt if isinstance(prompt, str) else _told(prompt)), str(answer)


def _told(turns: Any) -> str:
    return "\n\n".join(f"{turn.get('role')}: {turn.get('content') or ''}" for turn in turns)


def _as_sent(row: Mapping[str, Any]) -> str:
    try:
        asked = json.loads(row.get(ASKED) or "{}")
    except ValueError:
        return ""
    return _told(asked["messages"]) if asked.get("messages") else str(asked.get("text") or "")


def _verdicts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return list(json.loads(row.get(VERDICTS) or "[]"))
    except ValueError:
        return []


def _first(folder: Path, most: int) -> list[dict[str, Any]]:
    """The first rows of a data set, without reading the others."""
    for file in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                if batch.num_rows:
                    return list(batch.slice(0, most).to_pylist())
    return []
