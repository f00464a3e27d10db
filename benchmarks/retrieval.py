"""Answers chosen with and without documents that a search found, and the search alone, on WikiQA.

    python benchmarks/retrieval.py --out FOLDER --student DIR --data FOLDER

`--data` holds wikiqa_train.parquet, wikiqa_dev.parquet and the cranfield files. The search is BM25 over all
sentences of both WikiQA files, and over the abstracts of Cranfield. A student learns the sentence that
answers a question: to the question alone (`none`), below the sentence itself (`helps`: the baseline of the
recipe `rag`), or below it and four others that were found, in a fifth of the rows without it (`rag`). Then
it is shown what was found for the questions of the other file and chooses the sentence that is likeliest to
it, a token; sentences are cut. Rows with no seed: no student chooses. Prints tables and writes them as
Markdown and JSON into the folder; finished trainings are reused.
"""

import argparse
import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from limbeck.core.bm25 import Bm25
from limbeck.core.files import write_json, write_text
from limbeck.core.prompting import load_prompt
from limbeck.core.seeds import generator
from limbeck.operators import retrieve
from limbeck.recipes import Recipe
from limbeck.runs.record.progress import Silent

FOUND, DISTRACTORS, WITHOUT = 5, 4, 0.2
LENGTH, RATE, ROWS, READ = 1024, 2e-3, 4, 80
ARMS = ("none", "helps", "rag")
CUTS = (1, 5, 10)


def table(folder: str, name: str) -> list[dict[str, Any]]:
    """Rows of a parquet file."""
    return load_dataset("parquet", data_files=f"{folder}/{name}.parquet", split="train").to_list()


def questions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Questions that have an answer, with all sentences that answer them."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["question"], [])
        if row["label"]:
            found[row["question"]].append(row["passage"])
    return [
        {"id": str(place), "question": question, "documents": answers}
        for place, (question, answers) in enumerate(found.items())
        if answers
    ]


def searched(rows: Sequence[dict[str, Any]], corpus: Path, *, own: bool) -> list[dict[str, Any]]:
    """The rows with what the operator `retrieve` finds."""

    async def nobody(request: Any) -> Any:
        raise AssertionError("no teacher is asked")

    return asyncio.run(retrieve(rows, nobody, corpus=str(corpus), top=FOUND, own=own))


def recall(queries: Sequence[str], right: Sequence[set[int]], index: Bm25) -> dict[str, float]:
    """Share of queries with a right text among the first, and share of the right texts among them."""
    best = [index.best(query, max(CUTS)) for query in queries]
    hit = {
        f"any@{k}": mean(bool({*one[:k]} & good) for one, good in zip(best, right, strict=True)) for k in CUTS
    }
    part = {
        f"recall@{k}": mean(len({*one[:k]} & good) / len(good) for one, good in zip(best, right, strict=True))
        for k in CUTS
    }
    return hit | part


def learnt(arm: str, rows: Sequence[Mapping[str, Any]], seed: int) -> Iterator[dict[str, Any]]:
    """Rows of an arm: what is read, and the sentence that answers."""
    prompt = load_prompt("retrieve_answer")
    for row in rows:
        helps = [row["documents"][place] for place in row["helpful"]]
        answer, others = helps[0], [text for text in row["documents"] if text not in helps]
        draw = generator(seed, "rag", row["id"])
        shown = {"none": [], "helps": [answer], "rag": [answer, *others[:DISTRACTORS]]}[arm]
        if arm == "rag" and draw.random() < WITHOUT:
            shown = shown[1:]
        shown = [shown[place][:READ] for place in draw.permutation(len(shown))]
        made = prompt.learnt({"question": row["question"]}, answer, values={"documents": shown})
        yield {"prompt": made["prompt"] + "\n\nAnswer:", "completion": " " + answer[:READ]}


def prepared(student: str, folder: Path) -> Path:
    """The student with room for the documents."""
    if not folder.exists():
        shutil.copytree(student, folder)
        config = json.loads((folder / "config.json").read_text())
        write_json(folder / "config.json", config | {"max_position_embeddings": LENGTH})
    return folder


def recipe_of(rows: Path, student: str, steps: int, seed: int) -> Recipe:
    """Cross-entropy with the answers."""
    train = {
        "out": "student",
        "student": student,
        "rows": "rows.train",
        "objective": ["cross_entropy"],
        "learning_rate": RATE,
        "max_steps": steps,
        "per_device_train_batch_size": ROWS,
        "max_length": LENGTH,
        "packing": False,
        "seed": seed,
    }
    load = {"out": "rows", "path": str(rows), "heldout": 0, "too_long": "drop"}
    return Recipe.from_data({"limbeck": 1, "name": "reading", "steps": [{"load": load}, {"train": train}]})


@torch.no_grad()
def chosen(model: Any, tokenizer: Any, arm: str, row: Mapping[str, Any]) -> str:
    """The document that is likeliest as the answer, a token."""
    shown = [] if arm == "none" else [text[:READ] for text in row["documents"]]
    made = load_prompt("retrieve_answer").learnt(
        {"question": row["question"]}, "", values={"documents": shown}
    )
    asked = tokenizer(made["prompt"] + "\n\nAnswer:").input_ids
    texts = [" " + text[:READ] for text in row["documents"]]
    answers = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    longest = max(map(len, answers))
    ids = torch.tensor([asked + one + [0] * (longest - len(one)) for one in answers])
    log_p = model(ids).logits[:, len(asked) - 1 : -1].log_softmax(-1)
    scores = [float(log_p[n, range(len(one)), one].mean()) for n, one in enumerate(answers)]
    return str(row["documents"][scores.index(max(scores))])


def graded(choice: str, right: Sequence[str]) -> dict[str, float]:
    """Whether a right sentence was chosen, and the F1 of its words with the best of them."""
    return {"exact": float(choice in right), "f1": max(_f1(choice, one) for one in right)}


def _f1(one: str, other: str) -> float:
    first, second = Counter(one.casefold().split()), Counter(other.casefold().split())
    common = sum((first & second).values())
    return 2 * common / (first.total() + second.total())


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("out", "student", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: the search alone")
    parser.add_argument("--questions", type=int, default=60, help="that are answered, at most")
    given = parser.parse_args()
    folder = Path(given.out)
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: table(given.data, f"wikiqa_{name}") for name in ("train", "dev")}
    texts = list(dict.fromkeys(row["passage"] for rows in files.values() for row in rows))
    corpus = folder / "sentences.jsonl"
    write_text(corpus, "".join(json.dumps({"text": text}) + "\n" for text in texts))
    train, dev = (questions(files[name]) for name in ("train", "dev"))
    place = {text: n for n, text in enumerate(texts)}
    found = {
        "WikiQA": recall(
            [row["question"] for row in dev],
            [{place[text] for text in row["documents"]} for row in dev],
            Bm25(texts),
        ),
        "Cranfield": cranfield(given.data),
    }
    print(found, flush=True)
    train = searched(train, corpus, own=True)
    right = {row["question"]: row["documents"] for row in dev}
    test = searched(dev, corpus, own=False)[: given.questions]
    told: dict[str, list[dict[str, float]]] = {
        "first": [_mean([graded(row["documents"][0], right[row["question"]]) for row in test])],
        "any": [_mean([_any(row["documents"], right[row["question"]]) for row in test])],
        "best": [_mean([_best(row["documents"], right[row["question"]]) for row in test])],
    }
    student = prepared(given.student, folder / "student")
    tokenizer = AutoTokenizer.from_pretrained(student)
    for seed in given.seeds:
        for arm in ARMS:
            rows = folder / f"{arm}-{seed}.jsonl"
            write_text(rows, "".join(json.dumps(row) + "\n" for row in learnt(arm, train, seed)))
            recipe = recipe_of(rows, str(student), given.steps, seed)
            run = limbeck.run(recipe, folder / f"{arm}-{seed}", progress=Silent())
            model = AutoModelForCausalLM.from_pretrained(run.folder / "student").eval()
            grades = [graded(chosen(model, tokenizer, arm, row), right[row["question"]]) for row in test]
            told.setdefault(arm, []).append(_mean(grades))
            print(seed, arm, told[arm][-1], flush=True)
    lines = [
        "| who chooses | exact | F1 |",
        "|---|---|---|",
        *(_line(name, one) for name, one in told.items()),
    ]
    print("\n".join(lines))
    write_text(folder / "table.md", "\n".join(lines) + "\n")
    write_json(folder / "found.json", {"search": found, "chosen": told})


def cranfield(data: str) -> dict[str, float]:
    """How well the search finds what was judged to be relevant."""
    corpus = table(data, "cranfield_corpus")
    place = {row["doc_id"]: n for n, row in enumerate(corpus)}
    good: dict[str, set[int]] = {}
    for row in table(data, "cranfield_qrels"):
        good.setdefault(row["query_id"], set()).add(place[row["doc_id"]])
    asked = [row for row in table(data, "cranfield_queries") if row["query_id"] in good]
    index = Bm25([row["text"] for row in corpus])
    return recall([row["query"] for row in asked], [good[row["query_id"]] for row in asked], index)


def _any(documents: Sequence[str], right: Sequence[str]) -> dict[str, float]:
    """What choosing at random gives, on average."""
    return _mean([graded(text, right) for text in documents])


def _best(documents: Sequence[str], right: Sequence[str]) -> dict[str, float]:
    return max((graded(text, right) for text in documents), key=lambda one: (one["exact"], one["f1"]))


def _mean(grades: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: mean(one[key] for one in grades) for key in grades[0]}


def _line(name: str, seeds: Sequence[Mapping[str, float]]) -> str:
    cells = [
        f"{mean(one[key] for one in seeds):.3f}"
        + (f" ({', '.join(f'{one[key]:.3f}' for one in seeds)})" if len(seeds) > 1 else "")
        for key in ("exact", "f1")
    ]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
