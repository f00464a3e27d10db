"""A small store: a tiny teacher, rows of text, and what is needed to capture them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from limbeck.core.batch import Batch
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.outputs import Outputs
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PackedSource, PaddedSource
from limbeck.signals.capture import capture
from limbeck.signals.manifest import Identity
from limbeck.teachers import LocalTeacher
from tests import tiny

MAX_LENGTH = 48
IDENTITY = Identity(
    version=1,
    teacher="tiny",
    weights="w0",
    tokenizer="t0",
    template="c0",
    data="d0",
    rendering={"max_length": MAX_LENGTH},
    payload={"topk": {"mass": 0.999, "max": 64, "draws": 16}},
    vocabulary=tiny.VOCABULARY,
    shard_tokens=256,
)
PAYLOADS: dict[str, dict[str, Any]] = {
    "topk": {"topk": {"mass": 0.999, "max": 64, "draws": 16}},
    "bucket": {"topk": {"mass": 0.999, "max": 64}},  # as stores without drawn ids say it
    "hidden": {"hidden": {"dtype": "float32"}},
}


def rendered_rows(count: int = 24, *, kind: str = "text") -> tuple[Dataset, Rendering]:
    """Rows of different lengths as tokens."""
    words = " ".join(tiny.TEXTS).replace(",", "").split()
    texts = [" ".join(words[(n * k) % len(words)] for k in range(3, 6 + n % 13)) for n in range(1, count + 1)]
    rows = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    if kind == "answers":
        rows = [{"id": r["id"], "prompt": r["text"][:9], "completion": r["text"][9:]} for r in rows]
    rendering = Rendering(model_kind="causal", max_length=MAX_LENGTH)
    return render(Dataset.from_list(rows), tiny.tiny_tokenizer(), rendering), rendering


class World:
    """Teacher and rows, with everything a capture asks for."""

    def __init__(self, count: int = 24, *, kind: str = "text", seed: int = 1) -> None:
        rendered, rendering = rendered_rows(count, kind=kind)
        self.padded = PaddedSource(rendered, rendering, tiny.PAD)
        self.packed = PackedSource(rendered, rendering, MAX_LENGTH, 0, tiny.PAD)
        # Wide initial weights make distributions sharp, so that supports differ in size.
        self.teacher = LocalTeacher(tiny.tiny_llama(seed=seed, initializer_range=1.0), tiny.VOCABULARY)
        self.asked: list[Sequence[Sequence[str]]] = []

    def answer(self, batch: Batch) -> Outputs:
        """The live teacher."""
        self.asked.append(batch.row_ids)
        return self.teacher.answer(batch, DISTRIBUTION)

    def capture(self, folder: Path, *, payload: str | dict[str, Any] = "topk", **changes: Any) -> Any:
        """Make a store of all rows."""
        made = PAYLOADS[payload] if isinstance(payload, str) else payload
        options = {name: changes.pop(name) for name in ("rank", "ranks", "wait") if name in changes}
        return capture(
            folder,
            replace(IDENTITY, payload=made, **changes),
            tokens=self.padded.lengths,
            batch_of=self.padded.batch,
            answer=self.answer,
            batch_tokens=256,
            **options,
        )


def dense_log_probs(answer: Outputs, chosen: torch.Tensor) -> np.ndarray:
    """[n, V] of a live answer, in float64."""
    assert answer.hidden is not None and answer.head is not None
    logits = answer.hidden[chosen].double() @ answer.head.weight.double().T
    return logits.log_softmax(-1).numpy()


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a store by its name, locks left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".lock")
    }
