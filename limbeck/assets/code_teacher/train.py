"""Train the shipped code teacher: a byte-level tokenizer and a small Llama on the standard library.

    python -m limbeck.assets.code_teacher.train --out DIR --steps 835     # the card's run
    python -m limbeck.assets.code_teacher.train --out DIR --minutes 60    # as many steps as fit

The same command resumes from DIR/checkpoint.pt after a kill.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Muon, Optimizer
from transformers import LlamaForCausalLM

from limbeck.assets.code_teacher.measure import bits_per_byte, file_ids
from limbeck.assets.code_teacher.model import SEED, WINDOW, new_model, save, train_tokenizer
from limbeck.rows.standard_library import standard_library_files

ROWS_PER_STEP = 8
# After 50 steps Muon at this rate was at 6.4 nats per token, AdamW alone at 3e-3 at 6.8.
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 0.1
WARMUP_STEPS = 100
# The rate is constant, then falls to zero in a straight line: the number of steps need not be
# known before the fall begins, so --minutes can fix it then from the speed so far.
CONSTANT_SHARE = 0.6
STEPS_PER_REPORT, STEPS_PER_CHECKPOINT, STEPS_PER_EVALUATION = 50, 250, 1000


def new_optimizers(model: LlamaForCausalLM) -> list[Optimizer]:
    """Muon for the layers' matrices, AdamW for the embedding and, without decay, the norms."""
    embedding = model.get_input_embeddings().weight
    matrices = [p for p in model.parameters() if p.ndim > 1 and p is not embedding]
    norms = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": [embedding], "weight_decay": WEIGHT_DECAY}, {"params": norms, "weight_decay": 0.0}]
    return [
        # match_rms_adamw scales the update to AdamW's size, so both share one learning rate.
        Muon(matrices, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95)),
    ]


def learning_rate(step: int, *, steps: int | None) -> float:
    """Warm up, hold, then fall linearly to zero after 60 % of the steps; hold while steps is unknown."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    if steps is None:
        return LEARNING_RATE * warm
    left = (steps - step) / (steps - CONSTANT_SHARE * steps)
    return LEARNING_RATE * min(warm, left)


def crops(stream: Tensor, *, step: int) -> Tensor:
    """Random crops of the concatenated files for one step: [8, 513], the same for the same step."""
    generator = torch.Generator().manual_seed(SEED * 10**9 + step)
    starts = torch.randint(len(stream) - WINDOW, (ROWS_PER_STEP,), generator=generator)
    return torch.stack([stream[start : start + WINDOW + 1] for start in starts.tolist()])


def update(model: LlamaForCausalLM, optimizers: list[Optimizer], rows: Tensor, *, rate: float) -> float:
    """One step on the rows; returns the loss in nats per token."""
    # bfloat16 products with float32 weights: about 1.5 times the speed on a CPU with AVX-512 bf16.
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    loss = cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def train(out: Path, *, steps: int | None, minutes: float | None) -> None:
    """Train to the end of the schedule, resuming what lies in `out`, and write the model there."""
    files = standard_library_files()
    train_files = [file for file in files if not file.heldout]
    heldout = [file for file in files if file.heldout]
    tokenizer = train_tokenizer([file.text for file in train_files])
    stream = torch.cat([file_ids(tokenizer, file.text) for file in train_files])
    model = new_model(tokenizer)
    optimizers = new_optimizers(model)
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "steps": steps}
    state |= _load_checkpoint(out, model, optimizers)
    print(f"{len(stream)} tokens, {model.num_parameters()} parameters, from step {state['step']}", flush=True)
    clock = time.monotonic() - state["seconds"]
    recent = 0.0
    while state["steps"] is None or state["step"] < state["steps"]:
        model.train()
        rate = learning_rate(state["step"], steps=state["steps"])
        recent += update(model, optimizers, crops(stream, step=state["step"]), rate=rate)
        state["step"] += 1
        state["seconds"] = time.monotonic() - clock
        if state["steps"] is None and minutes and state["seconds"] >= 60 * minutes * CONSTANT_SHARE:
            state["steps"] = round(state["step"] / CONSTANT_SHARE)
        if state["step"] % STEPS_PER_REPORT == 0:
            _report(state, recent / STEPS_PER_REPORT)
            recent = 0.0
        if state["step"] % STEPS_PER_CHECKPOINT == 0:
            _save_checkpoint(out, model, optimizers, state)
        if state["step"] % STEPS_PER_EVALUATION == 0:
            print(f"held-out bits per byte {bits_per_byte(model, tokenizer, heldout):.4f}", flush=True)
    _save_checkpoint(out, model, optimizers, state)
    save(out, model, tokenizer)
    run = {"steps": state["steps"], "minutes": round(state["seconds"] / 60, 1), "train_tokens": len(stream)}
    run |= {"train_files": len(train_files), "heldout_files": len(heldout)}
    (out / "run.json").write_text(json.dumps(run, indent=2) + "\n")


def _report(state: dict[str, Any], loss: float) -> None:
    speed = state["step"] * ROWS_PER_STEP * WINDOW / state["seconds"]
    print(f"step {state['step']} of {state['steps']}: {loss:.4f} nats, {speed:.0f} tokens/s", flush=True)


def _save_checkpoint(
    out: Path, model: LlamaForCausalLM, optimizers: list[Optimizer], state: dict[str, Any]
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    saved = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "state": state}
    torch.save(saved, out / "checkpoint.tmp")
    (out / "checkpoint.tmp").replace(out / "checkpoint.pt")


def _load_checkpoint(out: Path, model: LlamaForCausalLM, optimizers: list[Optimizer]) -> dict[str, Any]:
    if not (out / "checkpoint.pt").exists():
        return {}
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    model.load_state_dict(saved["model"])
    for optimizer, optimizer_state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(optimizer_state)
    return saved["state"]


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the code teacher; the same command resumes.")
    parser.add_argument("--out", type=Path, required=True)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.out, steps=options.steps, minutes=options.minutes)


if __name__ == "__main__":
    main()
