"""The page of the format is right: its program reads a store with pyarrow alone."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from limbeck.signals.reader import Signals
from tests.signals.world import World

DRAWN = {"topk": {"mass": 0.999, "max": 16, "draws": 8}}
PAGE = Path(__file__).parents[2] / "docs" / "signals.md"


@pytest.mark.parametrize(("seed", "payload"), [(1, DRAWN), (2, DRAWN), (1, "bucket")])
def test_the_program_of_the_page_reads_what_the_store_says(tmp_path, seed, payload):
    world = World(seed=seed)
    world.capture(tmp_path / "store", payload=payload)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    # In a folder of its own, isolated: limbeck cannot be imported.
    (tmp_path / "read.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-I", "read.py", str(tmp_path / "store")],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "limbeck.signals" not in program
    batch = world.padded.batch([0])
    topk = Signals(tmp_path / "store").topk(batch)
    loss_mask = batch.loss_mask[0]
    lines = done.stdout.splitlines()
    assert len(lines) == int(loss_mask.sum())
    drawn = topk.ids[:, :, :0] if topk.drawn_ids is None else topk.drawn_ids
    places = (topk.ids[0][loss_mask], topk.log_probs[0][loss_mask], drawn[0][loss_mask])
    assert (payload == DRAWN) == bool((drawn[0][loss_mask] >= 0).any())
    for line, ids, log_probs, others in zip(lines, *places, strict=True):
        found = ast.literal_eval(f"[{line.replace('] [', '], [')}]")
        size = len(found[0])
        assert found[2] == others[others >= 0].tolist()
        assert found[0] == ids[:size].tolist()
        np.testing.assert_allclose(found[1], log_probs[:size].numpy(), atol=2e-4)
