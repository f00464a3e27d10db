"""impossible with a small real language model: what each critic lets through, and what a student makes of it.

    python benchmarks/paraphrases.py --out FOLDER --teacher DIR --encoder DIR --pairs FILE [--seeds 0 1 2]

`--teacher` is the weak model, and where the student starts. `--encoder` is made a critic of entailment on
`--pairs` (text_a, text_b, label), a tenth of which tells how good it is. Prints a table and writes it with
all numbers into the folder; the critic and finished seeds are reused.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import limbeck
from limbeck.core.files import read_json, write_json, write_text
from limbeck.core.models import save_model
from limbeck.recipes import impossible
from limbeck.runs.assembly.pair_classifier import PairClassifier

BEGINNINGS = (
    "Once upon a time", "One day, a little girl", "There was a big dog", "Tom and Mia", "The old man",
    "In the park,", "A small bird", "It was a sunny day",
)  # fmt: skip
CLASSES = ("contradiction", "entailment", "neutral")
RATE, ROWS, LENGTH, EPOCHS, THRESHOLD = 2e-4, 32, 64, 2, 0.75
STAGES = {"paraphrases": "pairs of the weak model", "better": "rewritings of the first student"}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("teacher", "encoder", "pairs"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--contexts", type=int, default=12)
    parser.add_argument("--candidates", type=int, default=12)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--entailed", type=float, default=THRESHOLD)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    critic = _critic(given.encoder, given.pairs, given.out / "critic")
    Dataset.from_list([{"prompt": one} for one in BEGINNINGS]).to_json(given.out / "beginnings.jsonl")
    found = [_measured(given, seed) for seed in given.seeds]
    table = _table(found)
    write_json(given.out / "paraphrases.json", {"critic": critic, "seeds": found})
    write_text(given.out / "paraphrases.md", table)
    print(json.dumps(critic))
    print(table)


def _critic(encoder: str, pairs: str, folder: Path) -> dict[str, float]:
    """Fine-tune the encoder on nine tenths of the pairs; how good it is on the others."""
    if (folder / "measured.json").exists():
        return dict(read_json(folder / "measured.json"))
    torch.manual_seed(0)
    rows = Dataset.from_parquet(pairs).shuffle(seed=0)
    apart = len(rows) // 10
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    names = dict(enumerate(CLASSES))
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=len(CLASSES), id2label=names, label2id={one: n for n, one in names.items()}
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    learnt, order = rows.select(range(apart, len(rows))), np.random.default_rng(0)
    for _ in range(EPOCHS):
        places = order.permutation(len(learnt))
        for start in range(0, len(places), ROWS):
            some = learnt[places[start : start + ROWS].tolist()]
            read = tokenizer(
                some["text_a"],
                some["text_b"],
                truncation=True,
                max_length=LENGTH,
                padding=True,
                return_tensors="pt",
            )
            labels = torch.tensor([CLASSES.index(one) for one in some["label"]])
            model(**read, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    save_model(model, tokenizer, folder)
    judge = PairClassifier(model.eval(), tokenizer, max_length=LENGTH, batch_size=ROWS)
    tested = rows.select(range(apart)).to_list()
    said = judge([(row["text_a"], row["text_b"]) for row in tested])
    right = [max(one, key=one.__getitem__) == row["label"] for one, row in zip(said, tested, strict=True)]
    passed = [
        row["label"] == "entailment"
        for one, row in zip(said, tested, strict=True)
        if one["entailment"] >= THRESHOLD
    ]
    entailed = sum(row["label"] == "entailment" for row in tested)
    found = {
        "pairs": len(tested),
        "accuracy": mean(right),
        "passed": len(passed),
        "precision": mean(passed) if passed else 0.0,
        "recall": sum(passed) / entailed,
    }
    write_json(folder / "measured.json", found)
    return found


def _measured(given: argparse.Namespace, seed: int) -> dict[str, Any]:
    run = given.out / f"seed{seed}"
    if not (run / "evaluation.json").exists():
        made = impossible(
            teacher=given.teacher,
            student=given.teacher,
            data=str(given.out / "beginnings.jsonl"),
            critic=str(given.out / "critic"),
            entailed=given.entailed,
            contexts=given.contexts,
            candidates=given.candidates,
            max_new_tokens=60,
            rewritings=4,
            heldout=2,
            learning_rate=5e-4,
            max_steps=given.steps,
            per_device_train_batch_size=2,
            max_length=256,
            seed=seed,
        )
        limbeck.run(made, run)
    measured = read_json(run / "evaluation.json")["metrics"]["perplexity"]["subjects"]
    return {
        "yield": {name: read_json(next(run.glob(f"steps/*-gate-{name}")) / "yield.json") for name in STAGES},
        "learnt": len(Dataset.load_from_disk(str(next(run.glob("steps/*-select-best")) / "rows"))),
        "perplexity": {name: one["perplexity"]["value"] for name, one in measured.items()},
    }


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    """Of each stage, what was judged and what each gate refused of what it was shown."""
    gates = list(dict.fromkeys(g["gate"] for one in found for y in one["yield"].values() for g in y["gates"]))
    lines = ["| | judged | " + " | ".join(gates) + " | accepted |", "|---" * (len(gates) + 3) + "|"]
    for stage, title in STAGES.items():
        yields = [one["yield"][stage] for one in found]
        cells = [f"{mean(one['candidates'] for one in yields):,.0f}"]
        for gate in gates:
            shares = [
                g["rejected"] / g["judged"]
                for one in yields
                for g in one["gates"]
                if g["gate"] == gate and g["judged"]
            ]
            cells.append(_share(shares))
        cells.append(_share([one["accepted"] / one["candidates"] for one in yields]))
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _share(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread} %"


if __name__ == "__main__":
    main()
