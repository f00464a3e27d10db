"""Right traces of an agent against all of them: one small student, several folds.

    python benchmarks/traces.py --out FOLDER --student DIR --traces hotpot_react.parquet

Traces are thoughts, actions and observations of one question each, right or wrong. A fold holds out the
questions of a part of the right traces; of the other questions a student learns the right traces, all, or
as many of all as are right, in equally many steps from the same weights.
Only thoughts and actions are in the loss. Measured on the right traces of held-out questions: nats a token
of thoughts and actions, and how often the student finds the kind of the next action likeliest that was
taken, of those that occur. Observations are cut. Prints a table and writes it as Markdown and JSON;
finished folds are reused.
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from limbeck.core.files import write_json, write_text
from limbeck.core.seeds import generator
from limbeck.recipes import Recipe
from limbeck.runs.record.progress import Silent

TEMPLATE = (
    "{% for m in messages %}{{ m.role + ':\n' + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
)
READ, LENGTH, RATE, ROWS = 40, 768, 2e-3, 2
FOLDS = 3
KINDS = ("Search[", "Lookup[", "Finish[")
ARMS = ("all", "right", "few")


def conversation(trace: Mapping[str, Any], question: str) -> dict[str, Any]:
    """A trace as turns; what the environment says is cut."""
    turns = [{"role": "user", "content": question}]
    for step in trace["steps"]:
        thought = f"Thought: {step['thought']}\n" if step.get("thought") else ""
        turns.append({"role": "assistant", "content": f"{thought}Action: {step['action'] or 'none'}"})
        if step is not trace["steps"][-1]:
            turns.append({"role": "user", "content": (step["observation"] or "Nothing.")[:READ]})
    return {"messages": turns}


def folded(traces: Sequence[Mapping[str, Any]], fold: int) -> tuple[list[Any], list[Any]]:
    """Traces to learn from, and the right ones of held-out questions."""
    right = sorted({trace["question"] for trace in traces if trace["correct"]})
    order = generator(0, "traces").permutation(len(right))
    unseen = {right[place] for place in order[fold::FOLDS]}
    return (
        [trace for trace in traces if trace["question"] not in unseen],
        [trace for trace in traces if trace["question"] in unseen and trace["correct"]],
    )


def prepared(student: str, folder: Path) -> Path:
    """The student with a chat template and room for a trace."""
    if not folder.exists():
        shutil.copytree(student, folder)
        config = json.loads((folder / "config.json").read_text())
        write_json(folder / "config.json", config | {"max_position_embeddings": 2 * LENGTH})
        tokenizer = AutoTokenizer.from_pretrained(student)
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(folder)
    return folder


def recipe_of(rows: Mapping[str, Path], student: Path, steps: int, seed: int) -> Recipe:
    """One training for each kind of rows, and every student measured beside that of all traces."""
    loads = [
        {"load": {"out": f"rows_{name}", "path": str(path), "heldout": 0}} for name, path in rows.items()
    ]
    trains = [
        {
            "train": {
                "out": name,
                "student": str(student),
                "rows": f"rows_{name}.train",
                "objective": ["cross_entropy"],
                "learning_rate": RATE,
                "max_steps": steps,
                "per_device_train_batch_size": ROWS,
                "max_length": LENGTH,
                "seed": seed,
            }
        }
        for name in ARMS
    ]
    measured = [
        {
            "evaluate": {
                "out": f"of_{name}",
                "model": name,
                "baseline": "all",
                "rows": "rows_unseen.train",
                "metrics": ["perplexity"],
                "max_length": LENGTH,
            }
        }
        for name in ARMS[1:]
    ]
    return Recipe.from_data({"limbeck": 1, "name": "traces", "steps": [*loads, *trains, *measured]})


@torch.no_grad()
def kinds_right(model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> float:
    """Share of actions whose kind is the likeliest of all kinds, after the thought that was had."""
    hits = []
    for row in rows:
        turns = row["messages"]
        for place, turn in enumerate(turns):
            before, mark, action = turn["content"].rpartition("Action: ")
            kind = next((one for one in KINDS if action.startswith(one)), None)
            if turn["role"] != "assistant" or kind is None:
                continue
            prompt = tokenizer.apply_chat_template(turns[:place], tokenize=False, add_generation_prompt=True)
            said = prompt + before + mark
            scores = [_log_p(model, tokenizer, said, one) for one in KINDS]
            hits.append(KINDS[scores.index(max(scores))] == kind)
    return mean(hits)


def _log_p(model: Any, tokenizer: Any, prompt: str, text: str) -> float:
    first = tokenizer(prompt, add_special_tokens=False).input_ids
    whole = tokenizer(prompt + text, add_special_tokens=False).input_ids
    start = max(
        1, next((n for n, (a, b) in enumerate(zip(first, whole, strict=False)) if a != b), len(first))
    )
    log_p = model(torch.tensor([whole])).logits[0, :-1].float().log_softmax(-1)
    return float(log_p[range(start - 1, len(whole) - 1), whole[start:]].sum())


def ran(given: argparse.Namespace, fold: int) -> dict[str, dict[str, float]]:
    """A fold: arm -> measure -> value."""
    folder = Path(given.out) / f"fold-{fold}"
    folder.mkdir(parents=True, exist_ok=True)
    traces = load_dataset("parquet", data_files=given.traces, split="train").to_list()
    seen, unseen = folded(traces, fold)
    right = [trace for trace in seen if trace["correct"]]
    drawn = generator(fold, "few").permutation(len(seen))[: len(right)]
    made = {
        "all": [conversation(one, one["question"]) for one in seen],
        "right": [conversation(one, one["question"]) for one in right],
        "few": [conversation(seen[place], seen[place]["question"]) for place in drawn],
        "unseen": [conversation(one, one["question"]) for one in unseen],
    }
    paths = {name: folder / f"{name}.jsonl" for name in made}
    for name, rows in made.items():
        write_text(paths[name], "".join(json.dumps(row) + "\n" for row in rows))
    student = prepared(given.student, Path(given.out) / "student")
    run = limbeck.run(recipe_of(paths, student, given.steps, fold), folder / "run", progress=Silent())
    found: dict[str, dict[str, float]] = {}
    for name in ARMS[1:]:
        (step,) = run.folder.glob(f"steps/*-of_{name}")
        subjects = json.loads((step / "evaluation.json").read_text())["metrics"]["perplexity"]["subjects"]
        found[name] = {"nats": subjects["student"]["nats_per_token"]["value"]}
        found["all"] = {"nats": subjects["all"]["nats_per_token"]["value"]}
    tokenizer = AutoTokenizer.from_pretrained(student)
    for name in ARMS:
        (step,) = run.folder.glob(f"steps/*-train-{name}")
        model = AutoModelForCausalLM.from_pretrained(step / "model").eval()
        found[name] |= {
            "kinds": kinds_right(model, tokenizer, made["unseen"]),
            "traces": len(made[name]),
            "unseen": len(unseen),
        }
    return found


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("out", "student", "traces"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--folds", type=int, nargs="+", default=[*range(FOLDS)])
    given = parser.parse_args()
    folds = []
    for fold in given.folds:
        folds.append(ran(given, fold))
        print(fold, folds[-1], flush=True)
    lines = ["| learnt | traces | nats a token | kind of the next action |", "|---|---|---|---|"]
    for name in ARMS:
        cells = [
            ", ".join(f"{one[name]['traces']:.0f}" for one in folds),
            *(
                f"{mean(one[name][key] for one in folds):.3f} "
                f"({', '.join(f'{one[name][key]:.3f}' for one in folds)})"
                for key in ("nats", "kinds")
            ),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    write_text(Path(given.out) / "table.md", "\n".join(lines) + "\n")
    write_json(Path(given.out) / "folds.json", folds)


if __name__ == "__main__":
    main()
