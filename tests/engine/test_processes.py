"""Trainings in processes of their own: killed at any moment, or spread over two ranks."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def command(folder: Path, *settings: float | str) -> list[str]:
    """Settings: steps, micro-batch size, accumulation, save_steps, dropout, balance (none if left out)."""
    return ["-m", "tests.engine.world", str(folder), *map(str, settings)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt")


def test_a_killed_training_continues_to_the_very_same_weights(tmp_path: Path) -> None:
    settings = (40, 4, 2, 3, 0.1)
    subprocess.run([sys.executable, *command(tmp_path / "whole", *settings)], env=ENVIRONMENT, check=True)
    cut = [sys.executable, *command(tmp_path / "cut", *settings)]
    moments = random.Random(os.getpid())
    for _ in range(2):
        seen = lines(tmp_path / "cut")
        process = subprocess.Popen(cut, env=ENVIRONMENT)
        while process.poll() is None and lines(tmp_path / "cut") < seen + 5:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3))  # anywhere in a step, or while a checkpoint is written
        process.kill()
        process.wait()
    subprocess.run(cut, env=ENVIRONMENT, check=True)
    expected, got = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_two_ranks_take_the_step_of_one_where_a_rank_has_nothing_to_learn_from(tmp_path: Path) -> None:
    one = command(tmp_path / "one", 3, 2, 4, 0, 0.0, "rare")
    subprocess.run([sys.executable, *one], env=ENVIRONMENT, check=True)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = command(tmp_path / "two", 3, 2, 2, 0, 0.0, "rare")
    subprocess.run(
        [*launch, *two], env={**ENVIRONMENT, "ACCELERATE_USE_CPU": "true"}, check=True, timeout=120
    )
    for expected, got in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert got == pytest.approx(expected, rel=1e-6)
    expected, got = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], atol=1e-6, rtol=1e-5, msg=name)


def lines(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
