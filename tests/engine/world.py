"""A small training to look at: rows of unequal length, a tiny student, a tiny teacher."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE, next_token_targets
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.core.transform import Transform
from limbeck.engine import Party, train
from limbeck.objectives import cross_entropy, forward_kl
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.router_balance import router_balance
from tests.tiny import tiny_llama, tiny_mixtral

VOCABULARY = 61
ROWS = 24
RARE = (13, 4, 14, 7, 3, 17)  # where the shuffle of seed 0 puts them


class Rows:
    """Rows of 3 to 20 tokens; the first third of each is a prompt."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.ids = [generator.integers(4, VOCABULARY, size=3 + 5 * place % 18) for place in range(ROWS)]

    def __len__(self) -> int:
        return ROWS

    def fingerprint(self) -> str:
        return str([ids.tolist() for ids in self.ids])

    def batch(self, indices: Sequence[int]) -> Batch:
        width = max(len(self.ids[index]) for index in indices)
        ids, mask, loss_mask = (np.zeros((len(indices), width), dtype=np.int64) for _ in range(3))
        for place, index in enumerate(indices):
            length = len(self.ids[index])
            ids[place, :length], mask[place, :length] = self.ids[index], 1
            loss_mask[place, length // 3 : length] = 1
        targets = next_token_targets(ids, loss_mask.astype(bool), np.where(mask == 1, 0, -1))
        assert (targets != IGNORE).any()
        inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        return Batch(inputs, torch.tensor(targets), [(f"row-{index}",) for index in indices])


class Changed(Transform):
    """Does one thing to every micro-batch."""

    def __init__(self, change: Callable[[Batch], Batch]) -> None:
        self.change = change

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        return [self.change(batch) for batch in window]


def nothing_learnt(batch: Batch) -> Batch:
    return replace(batch, targets=torch.full_like(batch.targets, IGNORE))


def student_party(*, dropout: float = 0.0, **settings: object) -> Party:
    """A student with a forward KL and a cross-entropy term."""
    model = tiny_llama(vocab=VOCABULARY, seed=1, attention_dropout=dropout)
    terms = [
        Term("forward_kl", forward_kl, ("student_logits", "teacher_logits"), weight=0.7),
        Term("cross_entropy", cross_entropy, ("student_logits", "labels"), weight=0.3),
    ]
    defaults = {
        "learning_rate": 0.01,
        "max_steps": 3,
        "per_device_train_batch_size": 8,
        "max_grad_norm": 0.0,
        # Adam with its usual epsilon makes a full step out of a gradient that is rounding noise.
        "adam_epsilon": 0.01,
    }
    chosen = TrainingSettings(**{**defaults, **settings})
    return Party("student", model, ForwardModel(model).probe(), Criterion(terms), chosen, teacher_answer)


def teacher_answer(batch: Batch) -> Outputs:
    """A frozen tiny model, made anew for every question so that it cannot hold state."""
    model = tiny_llama(vocab=VOCABULARY, width=48, seed=2)
    party = student_party()
    return ForwardModel(model).probe().read(batch.inputs, party.criterion.teacher_needs)


class RareRows(Rows):
    """Two rows in each of the first steps of eight are `rare`: of two ranks one has none in the second."""

    def batch(self, indices: Sequence[int]) -> Batch:
        batch = super().batch(indices)
        groups = torch.tensor([int(index in RARE) for index in indices])[:, None]
        groups = torch.where(batch.targets == IGNORE, IGNORE, groups)
        return replace(batch, groups=groups, group_names=("frequent", "rare"))


def rare_party(party: Party) -> Party:
    """Learns from rare rows alone, and has a layer that it never uses."""
    party.model.spare = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(party.model.spare.weight)
    torch.nn.init.ones_(party.model.spare.bias)
    terms = [replace(term, on="rare") for term in party.criterion.terms]
    return replace(party, criterion=Criterion(terms))


def experts_party(*, weight: float = 0.5, dropout: float = 0.0, **settings: object) -> Party:
    """The student is a mixture of experts, whose routers are kept balanced."""
    party = student_party(**settings)
    model = tiny_mixtral(vocab=VOCABULARY, seed=1, attention_dropout=dropout)
    signals = ("student_routing", "routed_shares")
    balance = Term("router_balance", router_balance, signals, weight=weight, regularises=True)
    criterion = Criterion([*party.criterion.terms, balance])
    return replace(party, model=model, reader=ForwardModel(model).probe(), criterion=criterion)


def main(
    folder: str, steps: str, size: str, accumulation: str, save_steps: str, dropout: str, extra: str = ""
) -> None:
    """Train in this process and save the weights as `weights.pt`; `extra`: a balance, `rare` or `experts`."""
    make = experts_party if extra == "experts" else student_party
    party = make(
        dropout=float(dropout),
        max_steps=int(steps),
        per_device_train_batch_size=int(size),
        gradient_accumulation_steps=int(accumulation),
        save_steps=int(save_steps) or None,
        weight_decay=0.1,
        gradient_checkpointing=extra == "rare",
    )
    rare = extra == "rare"
    balance = "gradient_magnitude" if extra == "experts" else extra or None
    party = rare_party(party) if rare else replace(party, balance=balance)
    train([party], RareRows() if rare else Rows(), folder=Path(folder))
    torch.save(party.model.state_dict(), Path(folder) / "weights.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
