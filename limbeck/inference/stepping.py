"""Which stepper a causal model is asked with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limbeck.inference.batches import pad_rows
from limbeck.inference.steppers import Anew, Cached, Stateful, Stepper, plain_model, without_cache
from limbeck.inference.ways import Probe, first_faithful


@dataclass(frozen=True)
class Stepping:
    """How a model is asked, and whether rows of different lengths may share a batch."""

    stepper: Callable[[Any, int | None], Stepper]
    padded: bool = False


_WAYS = (Stepping(Cached, padded=True), Stepping(Stateful, padded=True), Stepping(Cached), Stepping(Stateful))


def stepping(model: Any) -> Stepping:
    """The fastest way in which each row gets what it gets alone."""

    def write(way: Stepping, rows: list[list[int]], new: int) -> Probe:
        device = next(model.parameters()).device
        inputs = pad_rows(rows, rows[0][0], device)
        stepper, tokens, mask = way.stepper(model, None), inputs["input_ids"], inputs["attention_mask"]
        padded, order = way.padded, torch.arange(len(rows), device=device)
        chosen, scores = [], []
        for _ in range(new):
            logits = stepper.logits(tokens, mask, padded=padded)
            back = order.argsort()
            chosen.append(logits.argmax(-1)[back])
            scores.append(logits[back])
            # Rows that stop are taken out; here they change places, which no row may notice.
            turned = torch.arange(len(rows) - 1, -1, -1, device=device)
            stepper.keep(turned)
            order, mask = order[turned], mask[turned]
            tokens = logits.argmax(-1)[turned][:, None]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        return Probe(torch.stack(chosen, 1), torch.stack(scores, 1))

    def alone(row: list[int], new: Tensor) -> Tensor:
        read = torch.tensor([[*row, *new.tolist()[:-1]]], device=new.device)
        logits: Tensor = model(input_ids=read, **without_cache(model)).logits[0, -len(new) :]
        return logits

    plain = plain_model(model)
    found = first_faithful(plain, _WAYS, write=write, alone=alone, is_padded=lambda way: way.padded)
    return found or Stepping(Anew)
