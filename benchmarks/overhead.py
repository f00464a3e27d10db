"""What the engine adds to a bare loop: processor time of many short rounds in turns, in one process.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py [--rounds 12] [--profile]

Processor time, unlike wall-clock time, does not count other processes. All rows are of one length, so that
every step of both loops is the same work. The small student shows the engine's own milliseconds, which do
not grow with rows, widths or vocabulary; the larger one is that of `step.py`, for the ratio.
"""

import argparse
import cProfile
import itertools
import pstats
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from step import Rows
from transformers import LlamaConfig, LlamaForCausalLM

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.reader import Reader
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.objectives import forward_kl
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.fused import linear_objective

SIZES = {
    "small": (4, 64, 512, 2, 24),
    "medium": (4, 128, 4_000, 4, 48),
    "benchmark": (4, 256, 32_000, 8, 64),
}
"""layers, width, vocabulary, rows of a step, tokens of a row"""


def made(name: str, seed: int) -> LlamaForCausalLM:
    layers, width, vocabulary, _, _ = SIZES[name]
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


class EqualRows(Rows):
    """One row after another of the same length; the first quarter is a prompt."""

    def __init__(self, name: str, steps: int) -> None:
        _, _, vocabulary, self.size, length = SIZES[name]
        random = torch.Generator().manual_seed(0)
        ids = torch.randint(3, vocabulary, (steps * self.size, length), generator=random).numpy()
        self.rows, self.packed = [(row, length // 4) for row in ids], False


def bare(student: Any, teacher: Any, rows: Rows, steps: int) -> list[float]:
    """Processor time behind each step of the least code that does it."""
    student.train()
    matrices = [weight for weight in student.parameters() if weight.dim() >= 2]
    vectors = [weight for weight in student.parameters() if weight.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices}, {"params": vectors}], lr=1e-4, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    times = []
    for step in range(steps):
        batch = rows.batch([step])
        learnt = batch.targets != IGNORE
        with torch.no_grad():
            answer = teacher.model(**batch.inputs, use_cache=False).last_hidden_state[learnt]
        hidden = student.model(**batch.inputs, use_cache=False).last_hidden_state[learnt]
        weights = torch.full((len(hidden),), 1 / len(hidden))
        heads = student.lm_head.weight, answer, teacher.lm_head.weight
        loss = linear_objective(forward_kl, hidden, *heads, weights=weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        times.append(time.process_time())
    return times


def engine(student: Any, teacher: Any, rows: Rows, steps: int) -> list[float]:
    """Processor time behind each step of `limbeck.engine.train`."""
    settings = TrainingSettings(max_steps=steps, per_device_train_batch_size=1, save_steps=None)
    criterion = Criterion([Term("forward_kl", forward_kl, ("student_logits", "teacher_logits"))])
    party = Party("student", student, Reader(student).probe(), criterion, settings)
    reader, needs = Reader(teacher).probe(), criterion.teacher_needs
    times: list[float] = []

    def answer(batch: Batch) -> Outputs:
        return reader.read(batch.inputs, needs)

    with tempfile.TemporaryDirectory() as folder:
        train(
            [party],
            rows,
            answer=answer,
            folder=Path(folder),
            on_step=lambda report: times.append(time.process_time()),
        )
    return times


def compared(name: str, rounds: int, steps: int) -> None:
    """Median of the medians of rounds in turns, and how far rounds lie apart."""
    found: dict[str, list[float]] = {"bare": [], "engine": []}
    for turn in range(rounds):
        order: Sequence[Any] = (bare, engine) if turn % 2 else (engine, bare)
        for run in order:
            times = run(made(name, 0), made(name, 1).eval(), EqualRows(name, steps), steps)
            each = [after - before for before, after in itertools.pairwise(times[2:])]
            found[run.__name__].append(1000 * statistics.median(each))
    one, other = (statistics.median(found[which]) for which in ("bare", "engine"))
    ratios = sorted(b / a for a, b in zip(found["bare"], found["engine"], strict=True))
    print(
        f"{name}: bare {one:.2f} ms a step, engine {other:.2f} ms, {other - one:+.2f} ms, "
        f"ratio {other / one:.3f} (rounds {ratios[0]:.3f} to {ratios[-1]:.3f})"
    )


def main() -> None:
    """All sizes, or a profile of the engine's steps of the small one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.profile:
        profile = cProfile.Profile()
        rows = EqualRows("small", 200)
        profile.runcall(engine, made("small", 0), made("small", 1).eval(), rows, 200)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
        return
    compared("small", arguments.rounds, 2 * arguments.steps)
    compared("medium", arguments.rounds, arguments.steps)
    compared("benchmark", arguments.rounds, max(6, arguments.steps // 4))


if __name__ == "__main__":
    main()
