"""The capacity gap: the same student, distilled from teachers of several sizes, side by side.

Zhang et al. 2023, arXiv:2311.07052; GeneZC/MiniMA, `run_distillation_llama_ds.py`: loss = 0.5 *
cross-entropy + 0.5 * soft cross-entropy at temperature 1, cosine from 3e-4 with 1 % warm-up, weight
decay 0.1, betas 0.9 and 0.95, one pass. Its law for a fixed number of tokens: the best teacher has
about 2.5 times the student's parameters. Departures:

- the soft part is the KL, not the cross-entropy with the teacher (equal gradients);
- the student is a model of its own (`paper`) or has fresh weights (`tiny`), where the paper prunes it
  out of each teacher; all distillations start from the same weights;
- lengths and batch are ours: 2,048 tokens where the paper has 4,096, as far as Pythia reads;
- `tiny`: teachers in the shape of the shipped code model are first trained here, on the same rows in
  as many steps each, at the quickstart's learning rate.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import START, Columns, Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Build, Evaluate, Load, Step, Train
from limbeck.recipes.steps.compare import Compare, Figure, HypothesisTest
from limbeck.recipes.students import FreshStudent, ModelStudent, Student
from limbeck.recipes.teachers import ModelTeacher
from limbeck.recipes.terms import Term

SHAPE = "code_teacher"
TEACHERS: dict[str, dict[str, dict[str, int]]] = {
    "tiny": {
        "teacher_1": {"hidden_size": 96, "num_hidden_layers": 2, "intermediate_size": 264},
        "teacher_2": {"hidden_size": 160, "num_hidden_layers": 2, "intermediate_size": 440},
        "teacher_4": {"hidden_size": 256, "num_hidden_layers": 2, "intermediate_size": 704},
        "teacher_8": {"hidden_size": 320, "num_hidden_layers": 3, "intermediate_size": 880},
    },
}
"""Sizes of the fresh teachers; the number says about how many times the student's parameters."""

HUB = {
    "teacher_1": "EleutherAI/pythia-410m",
    "teacher_2": "EleutherAI/pythia-1b",
    "teacher_3": "EleutherAI/pythia-1.4b",
    "teacher_7": "EleutherAI/pythia-2.8b",
    "teacher_17": "EleutherAI/pythia-6.9b",
}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}
STUDENTS = {
    "tiny": FreshStudent(fresh=SHAPE, sizes={**TEACHERS["tiny"]["teacher_1"], **HEADS}),
    "paper": ModelStudent(model="EleutherAI/pythia-410m"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "tiny": {"learning_rate": 1e-3, "warmup_ratio": 0.2, "per_device_train_batch_size": 1, "max_length": 256},
    "paper": {
        "learning_rate": 3e-4,
        "warmup_ratio": 0.01,
        "weight_decay": 0.1,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 16,
        "max_length": 2048,
        "bf16": True,
        "gradient_checkpointing": True,
    },
}
MEASURED = 10_000  # held-out positions, at size tiny
TINY_STEPS = 500


def capacity_gap(
    *,
    size: Literal["tiny", "paper"] = "tiny",
    data: Data | None = None,
    kd_ratio: Share = 0.5,
    columns: Columns | None = None,
    heldout: float = 0.05,
    max_steps: Annotated[int, Field(ge=-1)] | None = None,
    seed: int = 0,
) -> Recipe:
    """One student from teachers of several sizes: is the largest teacher the best?

    `tiny` trains four teachers on the standard library (or `data`) and runs on a laptop; `paper` takes
    Pythia from the hub and your `data`. The student without a teacher is the line to beat.

    Args:
        size: tiny trains four small teachers and runs on a laptop; paper takes Pythia from the hub.
        data: training rows: a file, a folder or a hub id; null reads the Python standard library, and
            only at size tiny.
        max_steps: optimizer steps of every training; null keeps those of the size.
    """
    if size == "paper" and data is None:
        message = "must be named at size paper, got none. For example data=texts.jsonl."
        raise ConfigError(Problem("data", message))
    settings = {**SETTINGS[size], "seed": seed}
    settings["max_steps"] = max_steps if max_steps is not None else TINY_STEPS if size == "tiny" else -1
    rows = Load(out="rows", path=data or "standard_library", columns=dict(columns or {}), heldout=heldout)
    hard = Term(name="cross_entropy", weight=round(1 - kd_ratio, 12))
    soft = Term(name="forward_kl", weight=kd_ratio)
    names = list(TEACHERS["tiny"] if size == "tiny" else HUB)

    def train(out: str, student: Student, objective: tuple[Term, ...], teacher: str | None = None) -> Train:
        taught = None if teacher is None else ModelTeacher(model=teacher)
        return Train(
            out=out,
            student=student,
            rows="rows.train",
            objective=objective,
            **{"teacher": taught, **settings},
        )

    def evaluate(out: str, model: str, teacher: str | None = None) -> Evaluate:
        return Evaluate(
            out=out,
            model=model,
            teacher=None if teacher is None else ModelTeacher(model=teacher),
            rows="rows.heldout",
            metrics=("perplexity",) if teacher is None else ("perplexity", "fidelity"),
            max_length=settings["max_length"],
            max_positions=MEASURED if size == "tiny" else None,
        )

    plain, start = (Term(name="cross_entropy"),), ModelStudent(model=START)
    teachers = {name: name if size == "tiny" else HUB[name] for name in names}
    steps: list[Step] = [rows]
    if size == "tiny":
        fresh = {name: FreshStudent(fresh=SHAPE, sizes={**TEACHERS["tiny"][name], **HEADS}) for name in names}
        steps += [train(name, fresh[name], plain) for name in names]
    steps += [Build(out=START, student=STUDENTS[size], seed=seed), train("baseline", start, plain)]
    objective = tuple(term for term in (hard, soft) if term.weight)
    students = {name: f"student_of_{name}" for name in names}
    steps += [train(students[name], start, objective, teachers[name]) for name in names]
    evaluations = {name: f"from_{name}" for name in names}
    steps.append(evaluate("no_teacher", "baseline"))
    steps += [evaluate(evaluations[name], students[name], teachers[name]) for name in names]
    steps.append(
        Compare(
            evaluations=("no_teacher", *evaluations.values()),
            figures=(
                Figure(x="teacher_parameters", y="bits_per_byte"),
                Figure(x="teacher_parameters", y="top1_agreement"),
            ),
            tests=(
                HypothesisTest(test="spearman", y="bits_per_byte", x="teacher_parameters"),
                HypothesisTest(test="paired_t", y="bits_per_byte", against="no_teacher"),
            ),
        )
    )
    return Recipe(name="capacity_gap", steps=tuple(steps))
