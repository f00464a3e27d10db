"""The claim of the quickstart, over seeds: the teacher is worth having. Minutes; run by `make studies`."""

from pathlib import Path

import pytest

import limbeck


@pytest.mark.study
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_distilled_student_beats_the_one_without_a_teacher(tmp_path: Path, seed: int) -> None:
    metrics = limbeck.run("quickstart", out=tmp_path, seed=seed).evaluation["metrics"]
    bits = {
        name: subject["bits_per_byte"]["value"] for name, subject in metrics["perplexity"]["subjects"].items()
    }
    agreement = {
        name: subject["overall"]["top1_agreement"]["value"]
        for name, subject in metrics["fidelity"]["subjects"].items()
    }
    print(f"seed {seed}: bits per byte {bits}, agreement {agreement}")
    assert bits["student"] < bits["baseline"]
    assert agreement["student"] > agreement["baseline"]
