"""Selectors against random rows at equal token budgets: a small encoder learns to classify, several seeds.

    python benchmarks/selecting.py --out FOLDER --student DIR --data trec=FILE sst2=FILE [--heldout sst2=FILE]

Every selector takes a share of the tokens of the rows, in tokens of the student; the same student learns from
what it took in equally many updates. Its embeddings stay as they are, which makes an update on a CPU several
times cheaper; with --frozen all of it does, and a linear head learns from means of its last states. Rows are
held out once, the same for all seeds; a seed draws the random rows, the scout's rows, the student's new head
and the order of rows. `loss` and `less` read a scout: the student after the updates of the smallest budget on
other random rows, labels that the other selectors do without (quota reads them, too). Prints one table a data
set and writes it as Markdown and JSON into the folder; finished seeds are reused.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import t as student_t
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from limbeck import selectors
from limbeck.core.adam_directions import adam_direction, rademacher
from limbeck.core.files import read_json, write_json, write_text
from limbeck.core.seeds import generator
from limbeck.recipes.steps import Load
from limbeck.runs.assembly.features.vectors import vectors_by_words
from limbeck.runs.steps.load import loaded
from limbeck.selectors.less import Gradients
from limbeck.selectors.pick import Pick

UPDATES = {0.02: 60, 0.05: 120, 0.2: 240}
"""Share of the tokens -> updates of 16 rows, the same for all selectors: 12, 10 and 5 passes on TREC."""

RATE, ROWS, LENGTH, READ = 1e-3, 16, 64, 64
HEAD_RATE, HEAD_UPDATES = 5e-2, 4  # of a head alone, which needs more updates and takes none of the time
TARGET, DIMENSION, BLOCK = 64, 512, 256
RANDOM = "random"


class Task:
    """One data set for one student: rows, features, training and measuring.

    Args:
        student: an encoder's folder.
        data: rows with text and label.
        apart: held-out rows; None: a fifth of the others.
        frozen: only a linear head is trained, on means of the encoder's last states.
    """

    def __init__(self, student: str, data: str, apart: str | None, *, frozen: bool) -> None:
        rows, target, heldout = loaded(
            Load(out="rows", path=data, heldout=0 if apart else 0.2, validation=TARGET)
        )
        heldout = loaded(Load(out="rows", path=apart, heldout=0))[0] if apart else heldout
        self.student, self.tokenizer = student, AutoTokenizer.from_pretrained(student)
        names = sorted(set(rows["label"]))
        parts = {"train": rows, "target": target, "heldout": heldout}
        self.ids = {name: self._ids(part["text"]) for name, part in parts.items()}
        self.targets = {
            name: torch.tensor([names.index(label) for label in part["label"]])
            for name, part in parts.items()
        }
        self.texts, self.classes = list(rows["text"]), len(names)
        self.target_labels = [str(label) for label in target["label"]]
        self.labels = [str(label) for label in rows["label"]]
        self.tokens = np.asarray([len(ids) - 2 for ids in self.ids["train"]])
        self.frozen = False
        encoder = self.fresh(0).eval().base_model
        self.embedded = {name: self.read(encoder, name, _mean) for name in parts}
        self.frozen = frozen

    def _ids(self, texts: Iterable[str]) -> list[list[int]]:
        return [self.tokenizer(text, truncation=True, max_length=LENGTH)["input_ids"] for text in texts]

    def fresh(self, seed: int) -> Any:
        """The student with a new head; embeddings are not trained."""
        torch.manual_seed(seed)
        if self.frozen:
            return torch.nn.Linear(self.embedded["train"].shape[1], self.classes)
        model = AutoModelForSequenceClassification.from_pretrained(self.student, num_labels=self.classes)
        for name, weight in model.named_parameters():
            weight.requires_grad_("embeddings" not in name)
        return model

    def answer(self, model: Any, part: str, rows: Sequence[int]) -> tuple[Any, Any]:
        """What the model says of some rows: class scores, or an encoder's states with their mask."""
        if self.frozen:
            return model(self.embedded[part][list(rows)]), None
        ids = [self.ids[part][row] for row in rows]
        padded = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        out = model(**padded)
        return (out.logits if "logits" in out else out), padded["attention_mask"]

    def loss(self, model: Any, part: str, rows: Sequence[int]) -> torch.Tensor:
        """Mean cross-entropy of the labels of some rows."""
        scores, _ = self.answer(model, part, rows)
        return torch.nn.functional.cross_entropy(scores, self.targets[part][list(rows)])

    def train(self, rows: Sequence[int], share: float, seed: int) -> tuple[Any, torch.optim.Optimizer]:
        """A student that has learnt from the rows of a budget, and its optimizer."""
        model, rate = self.fresh(seed).train(), HEAD_RATE if self.frozen else RATE
        updates = UPDATES[share] * (HEAD_UPDATES if self.frozen else 1)
        optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=updates + 1, pct_start=0.1, cycle_momentum=False
        )
        for some in islice(_endless(rows, seed), updates):
            optimizer.zero_grad()
            self.loss(model, "train", some).backward()
            optimizer.step()
            schedule.step()
        return model.eval(), optimizer

    @torch.no_grad()
    def read(self, model: Any, part: str, value: Callable[[Any, Any], torch.Tensor]) -> torch.Tensor:
        """[N, ...] a value of every row of a part."""
        ids = self.ids[part]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        blocks = [order[start : start + READ] for start in range(0, len(order), READ)]
        values = torch.cat([value(*self.answer(model, part, rows)) for rows in blocks])
        placed = torch.empty_like(values)
        placed[order] = values
        return placed

    def accuracy(self, model: Any) -> float:
        """On the held-out rows."""
        said = self.read(model, "heldout", lambda scores, _: scores.argmax(-1))
        return float((said == self.targets["heldout"]).float().mean())

    def losses(self, model: Any) -> np.ndarray:
        """Cross-entropy of every row's label."""
        scores = self.read(model, "train", lambda scores, _: scores)
        found = torch.nn.functional.cross_entropy(scores, self.targets["train"], reduction="none")
        return found.numpy()

    def gradients(self, model: Any, optimizer: torch.optim.Optimizer) -> Gradients:
        """What LESS compares, at the scout alone."""
        weights = [one for one in model.parameters() if one.requires_grad]
        moments = [
            torch.cat([optimizer.state[one].get(name, torch.zeros_like(one)).flatten() for one in weights])
            for name in ("exp_avg", "exp_avg_sq")
        ]

        def direction(part: str, row: int) -> torch.Tensor:
            slopes = torch.autograd.grad(self.loss(model, part, [row]), weights)
            flat = torch.cat([one.flatten() for one in slopes])
            return adam_direction(flat, *moments) if part == "train" else flat

        found = []
        for part in ("train", "target"):
            count = len(self.ids[part])
            blocks = [range(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
            whole = (torch.stack([direction(part, row) for row in rows]) for rows in blocks)
            small = torch.cat([rademacher(one, DIMENSION, seed=0) for one in whole])
            found.append(torch.nn.functional.normalize(small, dim=1).numpy()[None])
        return Gradients(found[0], found[1], ["all"] * found[1].shape[1], [1.0])


def _mean(out: Any, mask: torch.Tensor) -> torch.Tensor:
    """[b, D] unit vectors."""
    mask = mask[..., None].float()
    return torch.nn.functional.normalize((out.last_hidden_state * mask).sum(1) / mask.sum(1))


def orders(task: Task, seed: int) -> Iterator[tuple[str, Iterable[Pick]]]:
    """Name of each arm and its order of the rows."""
    count, words, vectors = len(task.texts), vectors_by_words(task.texts), task.embedded["train"].numpy()
    drawn = within(selectors.random(count, seed=1000 + seed), task.tokens, min(UPDATES))
    scout, optimizer = task.train(drawn, min(UPDATES), seed)
    losses = task.losses(scout)
    yield RANDOM, selectors.random(count, seed=seed)
    yield "quota of labels", selectors.quota(task.labels, seed=seed)
    yield "k_center, words", selectors.k_center(words)
    yield "k_center, model", selectors.k_center(vectors)
    yield "k_center, model, outliers 10 %", selectors.k_center(vectors, outliers=0.1)
    yield "herding, model", selectors.herding(vectors)
    yield "facility_location, model", selectors.facility_location(vectors)
    yield "farthest", selectors.farthest(task.texts)
    yield "length_order, shortest", selectors.length_order(task.tokens)
    yield "top_k, highest loss", selectors.top_k(losses)
    yield "top_k, lowest loss", selectors.top_k(losses, highest=False)
    if task.frozen:  # gradients of all rows in all weights take longer than everything else
        gradients = task.gradients(scout, optimizer)
        yield "less", selectors.less(gradients)
        yield "less, a task for each label", selectors.less(gradients._replace(tasks=task.target_labels))


def within(picks: Iterable[Pick], tokens: np.ndarray, share: float) -> list[int]:
    """The first picks that a share of all tokens holds, as the step `select` takes them."""
    left, found = round(share * int(tokens.sum())), []
    for pick in picks:
        left -= int(tokens[pick.row])
        if left < 0:
            break
        found.append(pick.row)
    return found


def _endless(rows: Sequence[int], seed: int) -> Iterator[list[int]]:
    epoch, waiting = 0, list[int]()
    while True:
        while len(waiting) < ROWS:
            waiting += generator(seed, "order", epoch).permutation(rows).tolist()
            epoch += 1
        yield waiting[:ROWS]
        waiting = waiting[ROWS:]


def main() -> None:
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--student", required=True, help="an encoder's folder or hub id")
    parser.add_argument("--data", nargs="+", required=True, help="NAME=FILE with text and label")
    parser.add_argument("--heldout", nargs="*", default=[], help="NAME=FILE; else a fifth of the rows")
    parser.add_argument("--frozen", action="store_true", help="train a head alone")
    parser.add_argument("--without", nargs="*", default=[], help="arms to leave out")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    apart = dict(one.split("=", 1) for one in asked.heldout)
    for name, data in (one.split("=", 1) for one in asked.data):
        found: dict[str, dict[str, list[float]]] = {}
        task = Task(asked.student, data, apart.get(name), frozen=asked.frozen)
        for seed in asked.seeds:
            place = asked.out / name / f"{seed}.json"
            if not place.exists():
                write_json(place, measured(task, seed, asked.without))
            for arm, accuracies in read_json(place).items():
                for share, accuracy in accuracies.items():
                    found.setdefault(arm, {}).setdefault(share, []).append(accuracy)
            show(asked.out / name, found)


def measured(task: Task, seed: int, without: Sequence[str]) -> dict[str, dict[str, float]]:
    """Arm -> share of the tokens -> accuracy on the held-out rows."""
    result: dict[str, dict[str, float]] = {}
    for arm, order in orders(task, seed):
        if arm in without:
            continue
        picks = list(order)
        for share in UPDATES:
            model, _ = task.train(within(picks, task.tokens, share), share, seed)
            result.setdefault(arm, {})[str(share)] = task.accuracy(model)
        print(seed, arm, result[arm], flush=True)
    return result


def show(folder: Path, found: Mapping[str, Mapping[str, list[float]]]) -> None:
    """The table so far: accuracies, and what each arm has over random rows, seed by seed."""
    shares = [f"{100 * share:g} %" for share in UPDATES]
    heads = [*shares, *(f"{one} less random" for one in shares)]
    lines = ["| selector | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for arm, runs in found.items():
        cells = [interval(100 * value for value in values) for values in runs.values()]
        pairs = (zip(runs[share], found[RANDOM][share], strict=True) for share in runs)
        ahead = [interval(100 * (one - other) for one, other in pair) for pair in pairs]
        lines.append(
            "| " + " | ".join([arm, *cells, *(ahead if arm != RANDOM else [""] * len(ahead))]) + " |"
        )
    text = "\n".join(lines) + "\n"
    print(f"{folder.name}\n{text}", flush=True)
    write_text(folder / "table.md", text)


def interval(numbers: Iterable[float]) -> str:
    """Mean and half the width of its 95 % interval over seeds."""
    values = list(numbers)
    if len(values) == 1:
        return f"{values[0]:.1f}"
    half = student_t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
