"""A student of a store that a real vLLM filled is that of the local store, within the gap it prints."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from limbeck.assets import asset_path
from limbeck.recipes import Recipe
from limbeck.recipes.quickstart import SIZES
from limbeck.signals.manifest import Manifest
from tests.servers.vllm import NAME, vllm_server

pytestmark = pytest.mark.server

TEACHER, LENGTH, MOST = "code_teacher", 256, 64
FILES, STEPS = 8, 200


def recipe(teacher: Any, **fields: Any) -> Recipe:
    """Capture the standard library, and train the quickstart's student from the store."""
    payload = {"topk": {"mass": 0.999, "max": MOST, "draws": 0}}
    return Recipe.from_data({"limbeck": 1, "name": "served", "steps": [
        {"load": {"out": "rows", "path": "standard_library", "limit": FILES, "heldout": 2}},
        {"build": {"out": "start", "student": {"fresh": TEACHER, "sizes": SIZES}}},
        {"capture": {
            "out": "signals", "teacher": teacher, "rows": "rows.train", "payload": payload,
            "max_length": LENGTH, **fields,
        }},
        {"train": {
            "out": "student", "student": "start", "teacher": "signals", "rows": "rows.train",
            "objective": [{"name": "forward_kl"}], "learning_rate": 1e-3, "max_steps": STEPS,
            "per_device_train_batch_size": 1, "max_length": LENGTH,
        }},
    ]})  # fmt: skip


def run(folder: Path, teacher: Any, **fields: Any) -> tuple[Manifest, list[float], Any]:
    """Its store, its losses and its student."""
    found = limbeck.run(recipe(teacher, **fields), out=folder)
    manifest = Manifest.read(next(folder.rglob("manifest.json")).parent)
    lines = next(folder.rglob("metrics.jsonl")).read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    return manifest, losses, AutoModelForCausalLM.from_pretrained(found.student)


def kl_between(one: Any, other: Any) -> float:
    """KL(one || other) of two students on a text that neither saw, in nats a position."""
    tokenizer = AutoTokenizer.from_pretrained(asset_path(TEACHER))
    ids = torch.tensor([tokenizer(Path(__file__).read_text())["input_ids"][:LENGTH]])
    with torch.no_grad():
        log_p, log_q = (model(ids).logits.double().log_softmax(-1) for model in (one, other))
    return float((log_p.exp() * (log_p - log_q)).sum(-1).mean())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_student_of_the_served_store_is_that_of_the_local_one(dtype: str, tmp_path: Path) -> None:
    flags = ("--max-logprobs", str(MOST), "--dtype", dtype)
    place = asset_path(TEACHER)
    with vllm_server(place, tmp_path / "log", *flags, max_length=LENGTH + 1) as url:
        asked = {"endpoint": url, "model": NAME, "tokenizer": str(place), "workers": 8}
        began = time.monotonic()
        manifest, losses, student = run(tmp_path / "served", asked, local=TEACHER)
        seconds = time.monotonic() - began
    _, expected, wanted = run(tmp_path / "local", TEACHER)
    apart = [abs(one - other) for one, other in zip(losses, expected, strict=True)]
    weights = [torch.cat([part.detach().flatten() for part in one.parameters()]) for one in (student, wanted)]
    moved = float((weights[0] - weights[1]).norm() / weights[1].norm())
    print(
        f"\n{dtype}: {manifest.positions:,} positions, {seconds:.0f} s with training; "
        f"KL(local || served) {manifest.origin['kl_from_local']:.2g} nats a position, "
        f"{manifest.origin['kl_from_local_at_most']:.2g} at the most; losses {expected[0]:.3f} to "
        f"{expected[-1]:.3f}, apart by {sum(apart) / STEPS:.2g}, {max(apart):.2g} at the most; weights apart "
        f"by {moved:.2g} of their norm; KL of the students {kl_between(wanted, student):.2g} nats a position"
    )
    assert manifest.origin["kl_from_local"] < (1e-6 if dtype == "float32" else 1e-2)
    assert sum(apart) / STEPS < (1e-4 if dtype == "float32" else 0.05)
    assert kl_between(wanted, student) < (1e-6 if dtype == "float32" else 1e-2)
