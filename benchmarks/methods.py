"""Methods of the token-level family side by side: one teacher, one data set, one start, several seeds.

    python benchmarks/methods.py --out FOLDER [--teacher DIR --data FILE] [--methods gkd taid ...]
    python benchmarks/methods.py --out FOLDER --seconds 60      # equal compute instead of equal updates

Every method starts from the same student of a seed, trained on the data first, and makes equally
many updates of equally many rows at one learning rate; or as many as fit into equal processor time,
from the speed that the first comparison measured (run that one before). Work that is not training
counts, too: the teacher's writing of sequence-level methods is part of their time. Everything is
measured on held-out rows; `distance` is the reverse KL to the teacher on the student's own texts.
Finished runs are reused, so the script can be stopped and started again. Prints one table and
writes it as Markdown and JSON into the folder.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # processor time is then time on one core

from scipy.stats import t as student_t

import limbeck
from limbeck import recipes
from limbeck.core.files import read_json, write_json, write_text
from limbeck.recipes import Recipe
from limbeck.recipes.quickstart import SIZES
from limbeck.runs.record.progress import Silent, StepPosition

ROW_TOKENS, PROMPT_TOKENS, ROWS = 96, 32, 4
NEW_TOKENS = ROW_TOKENS - PROMPT_TOKENS
WRITES = {"max_new_tokens": NEW_TOKENS}
METHODS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    # name: (recipe, its inputs, another divergence in the place of its own)
    "sft": ("sft", {}, None),
    "word_kd": ("word_kd", {}, None),
    "forward KL": ("word_kd", {"kd_ratio": 1.0}, None),
    "reverse KL": ("word_kd", {"kd_ratio": 1.0}, "reverse_kl"),
    "skew forward KL": ("word_kd", {"kd_ratio": 1.0}, "skew_forward_kl"),
    "skew reverse KL": ("word_kd", {"kd_ratio": 1.0}, "skew_reverse_kl"),
    "akl": ("word_kd", {"kd_ratio": 1.0}, "adaptive_kl"),
    "taid": ("taid", {}, None),
    "seq_kd": ("seq_kd", WRITES, None),
    "gkd": ("gkd", WRITES, None),
    "on_policy": ("on_policy", {"signal": "full", **WRITES}, None),
    "minillm": ("minillm", {"round_prompts": 64, **WRITES}, None),
    "distillm": ("distillm", {"validate_every": 25, **WRITES}, None),
    "distillm2": ("distillm2", WRITES, None),
}
SKEW = 0.1
NEARLY = 0.1  # of the updates
VALIDATION = 64  # rows that distances and validation losses are measured on
EVALUATED = {
    "metrics": ["perplexity", "fidelity", "generation"],
    "task": "python_syntax",
    "max_length": ROW_TOKENS,
    "max_positions": 12_000,
    "prompts": 48,
    "max_new_tokens": NEW_TOKENS,
}


MEASURES = ("bits_per_byte", "agreement", "forward_kl", "reverse_kl", "parses", "distance")


class Clock(Silent):
    """Processor seconds of each step of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = 0.0

    def begun(self, stage: StepPosition) -> None:
        """A step begins."""
        self._start = time.process_time()

    def finished(self, stage: StepPosition, seconds: float) -> None:
        """A step is done."""
        self.seconds[stage.out] = time.process_time() - self._start


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--teacher", default="code_teacher")
    parser.add_argument("--data", default="standard_library")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--warm-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seconds", type=float, help="of processor time for each training")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in asked.seeds:
        start = warmed(asked, seed)
        for name in asked.methods:
            steps = asked.steps if asked.seconds is None else steps_within(asked, name)
            found.setdefault(name, []).append(one_run(asked, name, start, seed, steps))
            show(asked, found)


def warmed(asked: argparse.Namespace, seed: int) -> Path:
    """The student that all methods of a seed start from."""
    made = recipes.sft(
        student={"fresh": asked.teacher, "sizes": SIZES},
        data=asked.data,
        learning_rate=1e-3,
        max_steps=asked.warm_steps,
        per_device_train_batch_size=ROWS,
        max_length=ROW_TOKENS,
        seed=seed,
    ).to_data()
    made["steps"][1]["train"]["warmup_ratio"] = 0.2
    made["steps"] = made["steps"][:2]
    return limbeck.run(Recipe.from_data(made), asked.out / f"warm-{seed}", progress=Silent()).student


def one_run(asked: argparse.Namespace, name: str, start: Path, seed: int, steps: int) -> dict[str, float]:
    """What one method reached from `start`."""
    kind = "updates" if steps == asked.steps else f"{asked.seconds:g}s"
    folder = asked.out / kind / f"{name.replace(' ', '-')}-{seed}"
    if not (folder / "measured.json").exists():
        clock = Clock()
        run = limbeck.run(recipe_of(asked, name, start, seed, steps), folder, progress=clock)
        result = measured(run) | {"steps": steps, "seconds": work_of(clock)}
        write_json(folder / "measured.json", result)
    return dict(read_json(folder / "measured.json"))


def recipe_of(asked: argparse.Namespace, name: str, start: Path, seed: int, steps: int) -> Recipe:
    """The method's recipe with the study's sizes, and the distance watched at the end."""
    recipe, inputs, divergence = METHODS[name]
    taught = {} if recipe == "sft" else {"teacher": asked.teacher, "baseline": False}
    data = getattr(recipes, recipe)(
        student=str(start),
        data=asked.data,
        learning_rate=asked.learning_rate,
        max_steps=steps,
        per_device_train_batch_size=ROWS,
        max_length=ROW_TOKENS,
        seed=seed,
        **taught,
        **inputs,
    ).to_data()
    for step in data["steps"]:
        ((kind, fields),) = step.items()
        if kind == "load":
            fields["validation"] = 0.05
        if kind == "generate":
            fields |= {"prompt_tokens": PROMPT_TOKENS, "limit": steps * ROWS}
        if kind == "train":
            fields["warmup_ratio"] = 0.1
            if divergence is not None:
                skew = {"alpha": SKEW} if divergence.startswith("skew") else {}
                fields["objective"] = [{"name": divergence, **skew}]
            if fields.get("rollouts"):
                fields["rollouts"]["prompt_tokens"] = PROMPT_TOKENS
            watch = fields.get("validation") or {"rows": "rows.validation", "every": steps, "loss": False}
            distance = {"distances": {"distance": asked.teacher}, "divergence": "reverse_kl"}
            fields["validation"] = {
                **watch,
                **distance,
                "written_by": "student",
                "limit": VALIDATION,
                "max_new_tokens": NEW_TOKENS,
            }
        if kind == "evaluate":
            fields |= EVALUATED | {"teacher": {"model": asked.teacher}}
    return Recipe.from_data(data)


def measured(run: limbeck.runs.Run) -> dict[str, float]:
    """Held-out measures of the student, and its distance to the teacher on its own texts."""
    assert run.evaluation is not None
    metrics = run.evaluation["metrics"]
    read = {name: part["subjects"]["student"] for name, part in metrics.items()}
    text = (run.folder / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    last = [line["validation"]["distance"] for line in lines if "validation" in line][-1]
    return {
        "bits_per_byte": read["perplexity"]["bits_per_byte"]["value"],
        "agreement": read["fidelity"]["overall"]["top1_agreement"]["value"],
        "forward_kl": read["fidelity"]["overall"]["forward_kl"]["value"],
        "reverse_kl": read["fidelity"]["overall"]["reverse_kl"]["value"],
        "parses": read["generation"]["task"]["value"],
        "distance": last,
    }


def work_of(clock: Clock) -> float:
    """Processor seconds of everything that is not reading rows or measuring."""
    return sum(seconds for out, seconds in clock.seconds.items() if out not in ("rows", "evaluation"))


def steps_within(asked: argparse.Namespace, name: str) -> int:
    """Updates that fit into the time, by the speed of the runs with equal updates.

    Where that is nearly as many as those made, they count as they are.
    """
    folders = [asked.out / "updates" / f"{name.replace(' ', '-')}-{seed}" for seed in asked.seeds]
    speeds = [read_json(folder / "measured.json") for folder in folders]
    found = max(1, round(asked.seconds / mean(one["seconds"] / one["steps"] for one in speeds)))
    return asked.steps if abs(found - asked.steps) < NEARLY * asked.steps else found


def show(asked: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> None:
    """The table so far: mean over seeds and half the width of its 95 % interval."""
    columns = ("steps", "seconds", *MEASURES)
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, runs in found.items():
        cells = [interval([run[column] for run in runs]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    print(text, flush=True)
    kind = "updates" if asked.seconds is None else f"{asked.seconds:g}s"
    write_text(asked.out / f"{kind}.md", text)
    write_json(asked.out / f"{kind}.json", found)


def interval(values: list[float]) -> str:
    """Mean, and half the width of its interval."""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    half = student_t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.4g} ± {half:.2g}"


if __name__ == "__main__":
    main()
