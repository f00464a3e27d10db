"""A small run with every kind of thing that the page shows, some of it hostile."""

import json
from pathlib import Path
from typing import Any

import datasets

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"></script><!--"
    "<svg onload=alert(1)>javascript:alert(1) ]]> \u2028\u2029 \u202egnp.exe\u202c \x00 \x1b[31mred\x1b[0m "
    "http://127.0.0.1:9/beacon {{7*7}} ${7*7} `"
)


def saved(rows: list[dict[str, Any]], path: Path) -> None:
    """Rows as a step keeps them."""
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(str(path))


def answer(name: str, parent: str, text: str, verdicts: list[dict[str, Any]], **other: Any) -> dict[str, Any]:
    """A row as an operator makes it."""
    system = {"role": "system", "content": "Think first, then answer in one word."}
    user = {"role": "user", "content": f"Question {parent}: what colour is the sky?"}
    return {
        "id": name, "parents": [parent], "operator": "answer", "teacher": "large", "sample": 0,
        "asked": json.dumps({"messages": [system, user]}),
        "requests": ["5e" * 32], "reasoning": "The sky scatters light. " * 4,
        "finished": True, "tokens_in": 31, "tokens_out": 12, "cost": "0.00042", "terms": "may train",
        "verdicts": json.dumps(verdicts),
        "prompt": f"What colour is the sky over {parent}?", "completion": text, "reference": "Grey.",
    } | other  # fmt: skip


def verdict(gate: str, passed: bool, reason: str | None = None, detail: Any = None) -> dict[str, Any]:
    """As a gate writes it."""
    return {"gate": gate, "score": 0.25, "passed": passed, "reason": reason, "detail": detail}


def make_run(folder: Path) -> Path:
    """load, elicit with failures and yield, and gate; returns the run folder."""
    run = folder / "sky"
    steps = run / "steps"
    questions = [{"id": f"q{n}", "prompt": f"What colour is the sky over q{n}?"} for n in range(8)]
    saved(questions[:6], steps / "0-load-questions" / "train")
    saved(questions[6:], steps / "0-load-questions" / "heldout")
    passed = [verdict("length", True), verdict("novelty", True)]
    close = [
        verdict("length", True),
        verdict("novelty", False, "too close to another row", {"nearest": "q1~0"}),
    ]
    long = [verdict("length", False, "longer than 20 characters")]
    elicit = steps / "1-elicit-answers"
    saved([answer(f"q{n}~0", f"q{n}", "Blue." if n else HOSTILE, passed) for n in range(4)], elicit / "rows")
    saved(
        [answer("q4~0", "q4", "Blue, most of the time, in daylight.", long),
         answer("q5~0", "q5", "Blue.", close), answer("q5~1", "q5", "Azure", close, teacher="small")],
        elicit / "rejected",
    )  # fmt: skip
    failure = {"row_id": "q3", "reason": "content_filter", "message": HOSTILE, "key": "ab" * 32}
    (elicit / "failures.jsonl").write_text(json.dumps(failure | {"authorization": "sk-secret"}) + "\n")
    told = {
        "candidates": 8, "accepted": 4, "failed": 1,
        "gates": [
            {"gate": "length", "judged": 7, "rejected": 1, "reasons": {"longer than 20 characters": 1}},
            {"gate": "novelty", "judged": 6, "rejected": 2, "reasons": {"too close to another row": 2}},
        ],
        "calls": 8, "cached": 2, "tokens_in": 248, "tokens_out": 96,
        "cost": "0.00336", "currency": "USD", "cost_per_accepted": "0.00084",
    }  # fmt: skip
    (elicit / "yield.json").write_text(json.dumps(told))
    gate = steps / "2-gate-good"
    saved([answer(f"q{n}~0", f"q{n}", "Blue.", passed) for n in range(1, 4)], gate / "rows")
    saved([answer("q0~0", "q0", HOSTILE, [verdict("judge", False, HOSTILE[:40])])], gate / "rejected")
    (steps / "3-train-student").mkdir()
    done = {
        "said": "Ask `large` for answers to `questions`",
        "seconds": 4.0,
        "notes": ["4 answers, 96 tokens."],
    }
    (elicit / "done.json").write_text(json.dumps(done))
    (run / "recipe.yaml").write_text("name: sky\n")
    return run
