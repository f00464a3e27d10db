"""How fast each subject is on this machine, and how large."""

import platform
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from limbeck.core.batch import Batch
from limbeck.core.needs import at
from limbeck.evaluation.data import EvaluationData, device_of, reading
from limbeck.evaluation.settings import EvaluatedModel
from limbeck.inference.generate import generate
from limbeck.inference.request import TokenIds

_REPEATS = 5
_PROMPTS = 8
_PROMPT_TOKENS = 16
_NEW_TOKENS = 32
_FORWARD_ENTRIES = 8
_WEIGHT_FILES = ("*.safetensors", "*.bin")

DEFINITION = (
    "Median of 5 runs after a warm-up, subjects taking turns. Forward: tokens of one held-out batch read "
    "with all their output scores. Generated: new tokens of 8 prompts of 16 tokens written together, 32 "
    "each, greedily and with a cache. Parameters: tied weights counted once."
)

_SEVERAL = "The subjects have several tokenizers: each one's tokens are its own, and longer for some."

MEASURES = {
    "generated_tokens_per_second": {
        "label": "decode, tokens per second", "better": "higher", "compared": False, "rank": 80,
    },
    "forward_tokens_per_second": {
        "label": "prefill, tokens per second",
        "heading": "tokens/s",
        "better": "higher",
        "compared": False,
        "rank": 81,
    },
}  # fmt: skip


def speed(evidence: EvaluationData) -> dict[str, Any]:
    """Tokens read and written a second on this machine, parameters, and bytes of the weights."""
    batches = {
        subject.name: group.source.batch(list(range(min(_FORWARD_ENTRIES, len(group.source)))))
        for group in (evidence, *evidence.others)
        for subject in group.singles
    }
    everyone = [subject for group in (evidence, *evidence.others) for subject in group.singles]
    forward: dict[str, list[float]] = {subject.name: [] for subject in everyone}
    writing: dict[str, list[float]] = {subject.name: [] for subject in everyone}
    writes = evidence.kind.writes
    with reading(everyone):
        for repeat in range(-1, _REPEATS):  # -1 is the warm-up
            for subject in everyone:
                batch = batches[subject.name]
                seconds = _forward_seconds(subject, batch, scores=evidence.kind.scores)
                written = _written_per_second(subject, batch) if writes else 0.0
                if repeat >= 0:
                    forward[subject.name].append(batch.tokens / seconds)
                    writing[subject.name].append(written)
            evidence.progress("speed", (repeat + 2) / (_REPEATS + 1))
    subjects = {}
    for subject in everyone:
        entry: dict[str, Any] = {
            "forward_tokens_per_second": _spread(forward[subject.name]),
            **size(subject),
        }
        if writes:
            entry["generated_tokens_per_second"] = _spread(writing[subject.name])
        subjects[subject.name] = entry
    device = device_of(evidence.subjects[0])
    machine = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    definition = f"{DEFINITION} {_SEVERAL}" if evidence.others else DEFINITION
    return {"definition": definition, "machine": machine, "subjects": subjects}


def size(subject: EvaluatedModel) -> dict[str, int]:
    """Parameters (tied ones once), their bytes in memory, and the bytes of the weight files if known."""
    parameters = list(subject.model.parameters())
    found = {
        "parameters": sum(parameter.numel() for parameter in parameters),
        "memory_bytes": sum(parameter.numel() * parameter.element_size() for parameter in parameters),
    }
    folder: Path | None = subject.folder
    if folder is not None and folder.is_dir():
        files = next((some for kind in _WEIGHT_FILES if (some := sorted(folder.glob(kind)))), [])
        if files:
            found["disk_bytes"] = sum(file.stat().st_size for file in files)
    return found


def _spread(values: list[float]) -> dict[str, float | int]:
    return {
        "value": round(median(values), 1),
        "n": len(values),
        "low": round(min(values), 1),
        "high": round(max(values), 1),
    }


def _forward_seconds(subject: EvaluatedModel, batch: Batch, *, scores: bool) -> float:
    inputs = batch.to(device_of(subject)).inputs
    cache = {"use_cache": False} if hasattr(subject.reader.plain.config, "use_cache") else {}
    _wait(subject)
    start = perf_counter()
    if scores:
        subject.model(**inputs, **cache)
    else:
        subject.reader.read(inputs, at("states", -1))
    _wait(subject)
    return perf_counter() - start


def _written_per_second(subject: EvaluatedModel, batch: Batch) -> float:
    ids = batch.inputs["input_ids"]
    prompts = [ids[row % len(ids), :_PROMPT_TOKENS].tolist() for row in range(_PROMPTS)]
    _wait(subject)
    start = perf_counter()
    written = generate(
        subject.model,
        prompts,
        tokenizer_or_ids=TokenIds(eos=()),
        max_new_tokens=_NEW_TOKENS,
        vocabulary=subject.reader.vocabulary,
    )
    _wait(subject)
    return sum(len(completion.ids) for completion in written) / (perf_counter() - start)


def _wait(subject: EvaluatedModel) -> None:
    if device_of(subject).type == "cuda":
        torch.cuda.synchronize(device_of(subject))
