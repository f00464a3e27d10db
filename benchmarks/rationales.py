"""Label and rationale against the label alone, at several amounts of data: step_by_step on real rows.

    python benchmarks/rationales.py --out FOLDER --student DIR --data FILE --label COLUMN --rationale COLUMN

The rows bring the rationales of a teacher that was asked once. Held-out rows are the same everywhere; a seed
draws the rows of a fraction and their order. Both students of a run start from the same weights and take
equally many steps. Prints a table and writes it as Markdown and JSON into the folder; finished runs are
reused. `--student` is a folder, or how one is made: '{fresh: DIR}'.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from datasets import load_dataset
from scipy.stats import t as student_t

import limbeck
from limbeck import recipes
from limbeck.core.files import write_json, write_text
from limbeck.recipes import Recipe
from limbeck.recipes.steps import Evaluate, Select, Train
from limbeck.recipes.steps.select import Selector
from limbeck.recipes.text import read_yaml
from limbeck.runs.record.progress import Silent

HELDOUT, BATCH, LENGTH, RATE, WRITTEN = 160, 16, 320, 2e-3, 32
NATS, MATCH = ("perplexity", "nats_per_token"), ("generation", "task")


def rows_of(given: argparse.Namespace) -> Path:
    """Questions with label and rationale as a file; rows without either are left out and counted."""
    data = load_dataset("parquet", data_files=given.data, split="train")
    found = [
        {"question": row["question"], "answer": row[given.label], "rationale": row[given.rationale]}
        for row in data
        if (row[given.label] or "").strip() and (row[given.rationale] or "").strip()
    ]
    print(f"{len(found)} of {len(data)} rows have a label and a rationale")
    path = Path(given.out) / "rows.jsonl"
    write_text(path, "".join(json.dumps(row) + "\n" for row in found))
    return path


def recipe_of(given: argparse.Namespace, data: Path, fraction: float, seed: int) -> Recipe:
    """`step_by_step` on a random part of the training rows."""
    made = recipes.step_by_step(
        student=read_yaml(given.student),
        data=str(data),
        heldout=HELDOUT,
        learning_rate=RATE,
        max_steps=given.steps,
        per_device_train_batch_size=BATCH,
        max_length=LENGTH,
        max_new_tokens=WRITTEN,
        seed=seed,
    )
    some = Select(
        out="some",
        rows="rows.train",
        selector=Selector(name="random", options={"seed": seed}),
        budget=fraction if fraction < 1 else None,
    )
    steps = [made.steps[0], some]
    for step in made.steps[1:]:
        if isinstance(step, Train):
            step = step.model_copy(update={"rows": "some"})
        if isinstance(step, Evaluate):
            step = step.model_copy(update={"metrics": ("perplexity", "generation"), "prompts": HELDOUT})
        steps.append(step)
    return made.model_copy(update={"steps": tuple(steps)})


def value(evaluation: Mapping[str, Any], place: tuple[str, str], subject: str) -> float:
    """An estimate of a subject."""
    metric, key = place
    return float(evaluation["metrics"][metric]["subjects"][subject][key]["value"])


def verdict(evaluation: Mapping[str, Any], metric: str) -> str:
    """Better, worse or undecided over the held-out rows of one run."""
    return str(evaluation["metrics"][metric]["comparisons"][0]["verdict"])


def said(values: Sequence[float]) -> str:
    """Mean over seeds with its 95 % interval by Student's t."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = student_t.ppf(0.975, len(values) - 1) * stdev(values) / sqrt(len(values))
    return f"{mean(values):.3f} [{mean(values) - half:.3f}, {mean(values) + half:.3f}]"


def line(fraction: float, found: Sequence[Mapping[str, Any]]) -> str:
    """A fraction as a line of the table."""
    sides = {
        name: {place: [value(one, place, name) for one in found] for place in (NATS, MATCH)}
        for name in ("baseline", "student")
    }
    change = [b - a for a, b in zip(sides["baseline"][NATS], sides["student"][NATS], strict=True)]
    told = ", ".join(verdict(one, "perplexity") for one in found)
    cells = [f"{fraction:g}", *(said(sides[name][NATS]) for name in sides), said(change), told]
    cells += [said(sides[name][MATCH]) for name in sides]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("out", "student", "data", "label", "rationale"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=240)
    given = parser.parse_args()
    Path(given.out).mkdir(parents=True, exist_ok=True)
    data = rows_of(given)
    found: dict[float, list[Mapping[str, Any]]] = {}
    names = ("rows", "nats, label alone", "with rationale", "difference", "each seed", "right, label alone")
    lines = [f"| {' | '.join((*names, 'with rationale'))} |", "|" + "---|" * 7]
    for seed in given.seeds:
        for fraction in given.fractions:
            folder = Path(given.out) / f"{fraction:g}-{seed}"
            run = limbeck.run(recipe_of(given, data, fraction, seed), folder, progress=Silent())
            evaluation = run.evaluation or {}
            found.setdefault(fraction, []).append(evaluation)
            print(seed, line(fraction, [evaluation]), flush=True)
    lines += [line(fraction, runs) for fraction, runs in found.items()]
    print("\n".join(lines))
    write_text(Path(given.out) / "table.md", "\n".join(lines) + "\n")
    write_json(Path(given.out) / "evaluations.json", {str(name): runs for name, runs in found.items()})


if __name__ == "__main__":
    main()
