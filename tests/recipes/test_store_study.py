"""A student from a store is as good as one from the live teacher. Minutes; run by `make studies`."""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

import limbeck
from limbeck.recipes.model import Recipe
from limbeck.recipes.quickstart import MEASURED, ROW_TOKENS, SIZES, TEACHER
from limbeck.recipes.steps import Build, Capture, Evaluate, Load, Train
from limbeck.recipes.students import FreshStudent, ModelStudent
from limbeck.recipes.teachers import ModelTeacher, StoredTeacher
from limbeck.recipes.terms import Term
from limbeck.signals.payload import HiddenPayload, Payload, TopKPayload

FILES = 150  # of the standard library: more tokens than the 1,000 steps read
LIVE = "live"
STORES = {
    "topk": Payload(topk=TopKPayload(mass=0.999, max=64, draws=32)),
    "hidden": Payload(hidden=HiddenPayload(dtype="float32")),
}
MEASURES = (("perplexity", "bits_per_byte"), ("fidelity", "top1_agreement"), ("fidelity", "forward_kl"))


def _recipe(seed: int) -> Recipe:
    live = ModelTeacher(model=TEACHER)
    teachers = {LIVE: live} | {name: StoredTeacher(signals=f"{name}_store") for name in STORES}
    return Recipe(
        name="store_study",
        steps=(
            Load(out="rows", path="standard_library", limit=FILES),
            Build(out="start", student=FreshStudent(fresh=TEACHER, sizes=SIZES), seed=seed),
            *(
                Capture(
                    out=f"{name}_store", teacher=live, rows="rows.train", payload=one, max_length=ROW_TOKENS
                )
                for name, one in STORES.items()
            ),
            *(
                Train(
                    out=name,
                    student=ModelStudent(model="start"),
                    teacher=teacher,
                    rows="rows.train",
                    objective=(Term(name="forward_kl"),),
                    learning_rate=1e-3,
                    warmup_ratio=0.2,
                    max_steps=1000,
                    per_device_train_batch_size=1,
                    max_length=ROW_TOKENS,
                    seed=seed,
                )
                for name, teacher in teachers.items()
            ),
            *(
                Evaluate(
                    out=f"{name}_measured",
                    model=name,
                    teacher=live,
                    rows="rows.heldout",
                    metrics=("perplexity", "fidelity"),
                    max_length=ROW_TOKENS,
                    max_positions=MEASURED,
                )
                for name in teachers
            ),
        ),
    )


@pytest.mark.study
def test_a_student_from_a_store_is_as_good_as_from_the_live_teacher(tmp_path: Path) -> None:
    found: dict[tuple[str, str], list[float]] = {}
    for seed in (0, 1, 2):
        run = limbeck.run(_recipe(seed), out=tmp_path / str(seed))
        for name in (LIVE, *STORES):
            (written,) = run.folder.glob(f"steps/*-{name}_measured/evaluation.json")
            metrics = json.loads(written.read_text())["metrics"]
            for metric, measure in MEASURES:
                told = metrics[metric]["subjects"]["student"]
                value = told.get("overall", told)[measure]["value"]
                found.setdefault((name, measure), []).append(value)
    for (name, measure), values in found.items():
        print(f"{name:6} {measure:15} " + " ".join(f"{value:.5f}" for value in values))
    for _, measure in MEASURES:
        live = found[LIVE, measure]
        for name in STORES:
            apart = mean(found[name, measure]) - mean(live)
            assert abs(apart) <= stdev(live), f"{name} is {apart:+.5f} off in {measure}"
