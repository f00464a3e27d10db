"""source_matters over recorded and scripted teachers: which right answers make the better student?

    python benchmarks/sources.py --out FOLDER --student DIR --solutions FILE --human FILE [--steps 60]

`--solutions` is a Parquet file with question, answer, model and solution: each model is a recorded teacher,
behind a server of this script. Beside them two scripted ones repeat the answers of the first of `--models`,
word for word but for noise, so that they are right about the same questions: `filler` has a random word of
the file behind every fourth, `shuffled` has the words of every line but the last in random order. The recipe
is run as it is, with `task: null`, and its students are measured on the solutions of people to other
questions (`--human`: question, rationale and answer), which none of the teachers wrote. Perplexity is that of
a student that was trained on further solutions of people. Prints a table and writes it as Markdown and JSON
into the folder; finished seeds are reused.
"""

import argparse
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow.parquet as pq
from scipy.stats import t as student_t

import limbeck
from limbeck import recipes
from limbeck.core.files import read_json, write_json, write_text
from limbeck.core.seeds import generator
from limbeck.recipes import Recipe
from limbeck.recipes.steps import Evaluate, Load, Train

Answers = dict[tuple[str, str], str]
"""Teacher and question -> what it wrote."""

_PEOPLE = 1000  # whose solutions are read
_EVERY = 4  # words, behind which `filler` puts one
_MODELS = ("175b_verification", "175b_finetuning", "6b_verification")


def recorded(path: Path, models: tuple[str, ...]) -> tuple[Answers, dict[str, str]]:
    """What the models wrote, what scripted teachers make of the first one's, and the right answers."""
    rows = [row for row in pq.read_table(path).to_pylist() if row["model"] in models]
    found = {(row["model"], row["question"]): row["solution"] for row in rows}
    words = sorted({word for row in rows for word in row["solution"].split() if word.isalpha()})
    for (name, question), text in list(found.items()):
        if name == models[0]:
            found["filler", question] = filled(text, words, question)
            found["shuffled", question] = shuffled(text, question)
    return found, {row["question"]: row["answer"] for row in rows}


def filled(text: str, words: list[str], seed: str) -> str:
    """A random word behind every fourth, but not in the last line, which says the answer."""
    draw, (*lines, last) = generator(0, "filler", seed), text.split("\n")
    made = []
    for line in lines:
        some = []
        for place, word in enumerate(line.split(), 1):
            some += [word, words[draw.integers(len(words))]] if place % _EVERY == 0 else [word]
        made.append(" ".join(some))
    return "\n".join([*made, last])


def shuffled(text: str, seed: str) -> str:
    """The words of every line but the last in random order."""
    draw, (*lines, last) = generator(0, "shuffled", seed), text.split("\n")
    return "\n".join([*(" ".join(draw.permutation(line.split())) for line in lines), last])


@contextmanager
def served(answers: Answers) -> Iterator[str]:
    """A server that says what was recorded, under an address on this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = answers[asked["model"], asked["messages"][-1]["content"]]
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": 1, "completion_tokens": len(text.split()), "total_tokens": 1}
            body = json.dumps({"id": "0", "object": "chat.completion", "choices": [choice], "usage": usage})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Calls are counted by the run."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def made(url: str, options: argparse.Namespace, seed: int) -> Recipe:
    """The recipe, with its students measured on people's solutions."""
    names = (*options.models, "filler", "shuffled")
    whole = recipes.source_matters(
        teachers={f"of_{name}": {"endpoint": url, "model": name} for name in names},
        student=str(options.student),
        data=str(options.out / "questions.jsonl"),
        operator="answer",
        attempts=1,
        task=None,
        baseline=False,
        heldout=0,
        scorer="scorer",
        learning_rate=options.learning_rate,
        max_steps=options.steps,
        per_device_train_batch_size=4,
        max_length=512,
    )
    human = Load(out="human", path=str(options.out / "human.jsonl"), heldout=options.heldout)
    changes: dict[type, dict[str, Any]] = {Evaluate: {"rows": "human.heldout"}, Train: {"seed": seed}}
    steps = [one.model_copy(update=changes.get(type(one), {})) for one in whole.steps]
    (first, *_) = (one for one in whole.steps if isinstance(one, Train))
    scorer = first.model_copy(update={"out": "scorer", "rows": "human.train"})
    return whole.model_copy(update={"steps": (steps[0], human, scorer, *steps[1:])})


def measured(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Of each source: right, shared, words, perplexity, and its student's bits per byte."""
    found = {}
    for name in names:
        (answers,) = folder.glob(f"steps/*-elicit-answers_of_{name}")
        (right,) = folder.glob(f"steps/*-gate-right_of_{name}")
        (shared,) = folder.glob(f"steps/*-gate-shared_of_{name}")
        (measures,) = folder.glob(f"steps/*-evaluate-from_of_{name}")
        told = read_json(answers / "yield.json")
        words, perplexity, _ = read_json(right / "yield.json")["spreads"]
        bits = read_json(measures / "evaluation.json")["metrics"]["perplexity"]["subjects"]["student"]
        found[name] = {
            "right": told["accepted"] / told["candidates"],
            "shared": read_json(shared / "yield.json")["accepted"],
            "words": words,
            "perplexity": perplexity,
            "bits_per_byte": bits["bits_per_byte"]["value"],
        }
    return found


def table(seeds: Mapping[int, Mapping[str, Any]], names: tuple[str, ...]) -> str:
    """Markdown: a line for each source."""
    head = "| source | right | words | perplexity | bits per byte ↓ | less the first |"
    lines = [head, "|---|---|---|---|---|---|"]
    for name in names:
        one = next(iter(seeds.values()))[name]
        spreads = [
            f"{one[what]['median']:.3g} ({one[what]['low']:.3g} to {one[what]['high']:.3g})"
            for what in ("words", "perplexity")
        ]
        bits = [seed[name]["bits_per_byte"] for seed in seeds.values()]
        less = [seed[name]["bits_per_byte"] - seed[names[0]]["bits_per_byte"] for seed in seeds.values()]
        cells = (f"{one['right']:.1%}", *spreads, said(bits), "" if name == names[0] else said(less))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def said(values: list[float]) -> str:
    """Mean and half the width of the 95 % interval over seeds."""
    half = (
        student_t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0
    )
    return f"{mean(values):.3f} ± {half:.3f}"


def main() -> None:
    """Run all seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("out", "student", "solutions", "human"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=_MODELS)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--heldout", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.models = tuple(options.models)
    options.out.mkdir(parents=True, exist_ok=True)
    answers, right = recorded(options.solutions, options.models)
    rows = [{"prompt": question, "completion": answer} for question, answer in right.items()]
    write_text(options.out / "questions.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    people = pq.read_table(options.human).slice(0, _PEOPLE).to_pylist()
    told = [
        {"prompt": row["question"], "completion": f"{row['rationale']}\nA: {row['answer']}"} for row in people
    ]
    write_text(options.out / "human.jsonl", "".join(json.dumps(row) + "\n" for row in told))
    names, found = (*options.models, "filler", "shuffled"), {}
    with served(answers) as url:
        for seed in options.seeds:
            kept = options.out / f"seed_{seed}.json"
            if not kept.exists():  # another seed trains anew, and asks and judges nothing again
                limbeck.run(made(url, options, seed), options.out / "run", overwrite=True)
                write_json(kept, measured(options.out / "run", names))
            found[seed] = read_json(kept)
    write_text(options.out / "table.md", table(found, names) + "\n")
    print(table(found, names))


if __name__ == "__main__":
    main()
