"""Teacher hacking: an oracle stands for the truth, a teacher learns from it, a student from the teacher.

Tiapkin et al. 2025, arXiv:2502.02671 (no code). Teacher and student are first fine-tuned on texts of
the oracle; then the student is distilled from the teacher with the forward KL at temperature 1, on
texts the teacher generated once (offline), generates in every step (online_teacher), or the student generates
(online_student). Monitored on validation prompts with fresh samples of the student: the distance to the
teacher (proxy) and to the oracle (golden). Offline, the paper sees golden turn up while proxy falls
on. The evaluations at the end hold every student against the oracle, which they call teacher.
Learning rate 3e-4, 100 steps of warm-up, batch 32, about 60 passes are the paper's. Departures:

- distances are means over tokens of KL(model || student), the paper's estimator being known to us from
  its description alone;
- causal models: the paper's are T5 on summaries, translations and instructions;
- plain text is prompted with its first tokens; offline, these are in the loss too;
- `tiny`: fresh models in the shape of the shipped code model, which is the oracle; few steps, at the
  quickstart's learning rate. At such scales the offline turn need not appear.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.batches import Rollouts
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import START, Columns
from limbeck.recipes.model import Recipe
from limbeck.recipes.quickstart import SIZES
from limbeck.recipes.quickstart import TEACHER as SHAPE
from limbeck.recipes.steps import Evaluate, Generate, Load, Step, Train
from limbeck.recipes.steps.compare import Compare, HypothesisTest
from limbeck.recipes.students import FreshStudent, ModelStudent, Student
from limbeck.recipes.teachers import ModelTeacher
from limbeck.recipes.terms import Term
from limbeck.recipes.validation import Validation

SourceWord = Literal["offline", "online_teacher", "online_student"]
SOURCES: tuple[SourceWord, ...] = ("offline", "online_teacher", "online_student")
ORACLE = {"tiny": SHAPE, "paper": "Qwen/Qwen2.5-3B-Instruct"}
TEACHER = {
    "tiny": FreshStudent(fresh=SHAPE, sizes={**SIZES, "hidden_size": 192, "intermediate_size": 528}),
    "paper": ModelStudent(model="Qwen/Qwen2.5-1.5B"),
}
STUDENT = {
    "tiny": FreshStudent(fresh=SHAPE, sizes={**SIZES, "hidden_size": 96, "intermediate_size": 264}),
    "paper": ModelStudent(model="Qwen/Qwen2.5-0.5B"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "tiny": {"learning_rate": 1e-3, "per_device_train_batch_size": 16, "max_length": 64, "packing": False},
    "paper": {
        "learning_rate": 3e-4,
        "per_device_train_batch_size": 32,
        "max_length": 1152,
        "packing": False,
        "bf16": True,
    },
}
STEPS = {"tiny": (150, 300), "paper": (10_000, 390_625)}
"""Optimizer steps of fine-tuning and of distillation; 390,625 are the paper's, the first are ours."""

PROMPT, NEW = {"tiny": 16, "paper": 64}, {"tiny": 32, "paper": 128}
ASKED: dict[str, int | None] = {"tiny": 640, "paper": None}
"""Prompts that oracle and teacher answer; offline, these are the data of every pass."""

WATCHED = {"tiny": (10, 32), "paper": (2_000, 512)}  # every so many steps, on so many prompts
WARMUP = 100
MEASURED = 6_000  # held-out positions, at size tiny


def teacher_hacking(
    *,
    size: Literal["tiny", "paper"] = "tiny",
    data: Data | None = None,
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl",
    sources: tuple[SourceWord, ...] = SOURCES,
    columns: Columns | None = None,
    heldout: float = 0.05,
    validation: float = 0.05,
    max_steps: Annotated[int, Field(ge=1)] | None = None,
    seed: int = 0,
) -> Recipe:
    """Oracle to teacher to student, offline and online: does the student leave the truth for its teacher?

    `tiny` prompts with the standard library (or `data`) and runs on a laptop in minutes; `paper` takes
    Qwen2.5 from the hub and the prompts of your `data`.

    Args:
        size: tiny runs on a laptop in minutes; paper takes Qwen2.5 from the hub.
        data: prompts: a file, a folder or a hub id; null reads the Python standard library, and only at
            size tiny.
        divergence: between teacher and student, at every token.
        sources: what students are trained on: answers the teacher generated once, answers it generates
            anew, the student's own samples; a student each.
        max_steps: optimizer steps of distillation; null keeps those of the size.
    """
    _check(size, data, sources)
    oracle, (tuning, distilling) = ORACLE[size], STEPS[size]
    distilling = distilling if max_steps is None else max_steps
    tuning = min(tuning, distilling) if max_steps is not None else tuning
    every, prompts = WATCHED[size]
    plain = (Term(name="cross_entropy"),)
    soft = (Term(name=divergence, options={"beta": 0.5} if divergence == "jsd" else {}),)

    def write(out: str, teacher: str) -> Generate:
        return Generate(
            out=out,
            teacher=ModelTeacher(model=teacher),
            rows="rows.train",
            max_new_tokens=NEW[size],
            prompt_tokens=PROMPT[size],
            limit=ASKED[size],
            seed=seed,
        )

    def tune(out: str, student: Student) -> Train:
        fields = {**SETTINGS[size], "max_steps": tuning, "seed": seed}
        return Train(**{"out": out, "student": student, "rows": "by_oracle", "objective": plain, **fields})

    def distil(source: str) -> Train:
        rollouts = None
        if source != "offline":
            rollouts = Rollouts(
                student=float(source == "online_student"),
                teacher=float(source == "online_teacher"),
                max_new_tokens=NEW[size],
                prompt_tokens=PROMPT[size],
            )
        validation = Validation(
            rows="rows.validation",
            every=every,
            loss=False,
            distances={"proxy": "teacher", "golden": oracle},
            divergence=divergence,
            written_by="student",
            limit=prompts,
            max_new_tokens=NEW[size],
        )
        fields = {**SETTINGS[size], "max_steps": distilling, "seed": seed}
        fields["warmup_ratio"] = min(WARMUP / distilling, 0.2)
        return Train(
            out=f"student_{source}",
            student=ModelStudent(model=START),
            objective=soft,
            teacher=ModelTeacher(model="teacher"),
            rows="by_teacher" if rollouts is None else "rows.train",
            **{"rollouts": rollouts, "validation": validation, **fields},
        )

    def evaluate(out: str, model: str) -> Evaluate:
        return Evaluate(
            out=out,
            model=model,
            teacher=ModelTeacher(model=oracle),
            rows="rows.heldout",
            metrics=("perplexity", "fidelity"),
            max_length=SETTINGS[size]["max_length"],
            max_positions=MEASURED if size == "tiny" else None,
        )

    steps: list[Step] = [
        Load(
            out="rows",
            path=data or "standard_library",
            columns=dict(columns or {}),
            heldout=heldout,
            validation=validation,
        ),
        write("by_oracle", oracle),
        tune("teacher", TEACHER[size]),
        tune(START, STUDENT[size]),
        *((write("by_teacher", "teacher"),) if "offline" in sources else ()),
        *(distil(source) for source in sources),
        evaluate("before", START),
        *(evaluate(source, f"student_{source}") for source in sources),
        Compare(
            evaluations=("before", *sources),
            tests=(HypothesisTest(test="paired_t", y="forward_kl", against="before"),),
        ),
    ]
    return Recipe(name="teacher_hacking", steps=tuple(steps))


def _check(size: str, data: str | None, sources: tuple[str, ...]) -> None:
    problems = []
    if size == "paper" and data is None:
        problems.append(
            Problem("data", "must be named at size paper, got none. For example data=prompts.jsonl.")
        )
    if not sources or len(set(sources)) < len(sources):
        problems.append(Problem("sources", f"must name each source once, at least one, got {list(sources)}."))
    if problems:
        raise ConfigError(problems)
