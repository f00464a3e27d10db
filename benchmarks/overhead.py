"""What the engine adds to a bare loop: one step of each in turns, in processor time, in one process.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py [--pairs 100] [--sizes small medium] [--profile]

Processor time, unlike wall-clock time, does not count other processes, and two steps that follow each other
meet the same machine: the ratio is the median over pairs of steps, with its 95 % interval. All rows are of
one length, so that every step is the same work; both loops clip, follow a schedule and read the loss. `bare
twice` compares the bare loop with itself in the same way: what it says beside 1 is what this cannot resolve.
"""

import argparse
import cProfile
import math
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from step import Rows
from transformers import LlamaConfig, LlamaForCausalLM

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.engine.optimizer import make_optimizer
from limbeck.objectives import forward_kl
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.fused import linear_objective

SIZES = {
    "small": (4, 64, 512, 2, 24),
    "medium": (4, 128, 4_000, 4, 48),
    "benchmark": (4, 256, 32_000, 8, 64),
}
"""layers, width, vocabulary, rows of a step, tokens of a row"""

TARGET = 1.05
_WARM_UP = 4  # steps
_NORMAL_95 = 1.96


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


def settings_of(steps: int) -> TrainingSettings:
    return TrainingSettings(max_steps=steps, per_device_train_batch_size=1, save_steps=None, warmup_ratio=0.0)


def bare(name: str, steps: int) -> Iterator[None]:
    """The least code that does a step, one at a time."""
    student, teacher, rows = made(name, 0).train(), made(name, 1).eval(), EqualRows(name, steps)
    optimizer = make_optimizer(student, settings_of(steps))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        batch = rows.batch([step])
        loss_mask = batch.targets != IGNORE
        with torch.no_grad():
            answer = teacher.model(**batch.inputs, use_cache=False).last_hidden_state[loss_mask]
        hidden = student.model(**batch.inputs, use_cache=False).last_hidden_state[loss_mask]
        weights = torch.full((len(hidden),), 1 / len(hidden))
        heads = student.lm_head.weight, answer, teacher.lm_head.weight
        loss = linear_objective(forward_kl, hidden, *heads, weights=weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        yield


def engine(name: str, steps: int, after: Callable[[], None]) -> None:
    """`limbeck.engine.train`; `after` every step."""
    student, teacher = made(name, 0), made(name, 1).eval()
    criterion = Criterion([Term("forward_kl", forward_kl, ("student_logits", "teacher_logits"))])
    reader, needs = ForwardModel(teacher).probe(), criterion.teacher_needs

    def answer(batch: Batch) -> Outputs:
        return reader.read(batch.inputs, needs)

    party = Party("student", student, ForwardModel(student).probe(), criterion, settings_of(steps), answer)
    with tempfile.TemporaryDirectory() as folder:
        train([party], EqualRows(name, steps), folder=Path(folder), on_step=lambda report: after())


def against_engine(name: str, steps: int) -> list[tuple[float, float]]:
    """Seconds of the bare loop and of the engine, pair by pair."""
    one, pairs = bare(name, steps), list[tuple[float, float]]()
    began = time.process_time()

    def after() -> None:
        nonlocal began
        middle = time.process_time()
        next(one)
        pairs.append((time.process_time() - middle, middle - began))
        began = time.process_time()

    engine(name, steps, after)
    return pairs[_WARM_UP:]


def against_itself(name: str, steps: int) -> list[tuple[float, float]]:
    """Seconds of two bare loops, pair by pair."""
    pairs = []
    one, other = bare(name, steps), bare(name, steps)
    for _ in range(steps):
        began = time.process_time()
        next(one)
        middle = time.process_time()
        next(other)
        pairs.append((middle - began, time.process_time() - middle))
    return pairs[_WARM_UP:]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median with its 95 % interval, from order statistics."""
    ordered, half = sorted(values), _NORMAL_95 * math.sqrt(len(values)) / 2
    low, high = math.floor(len(values) / 2 - half), math.ceil(len(values) / 2 + half)
    return statistics.median(ordered), ordered[max(low, 0)], ordered[min(high, len(values) - 1)]


def report(name: str, pairs: Sequence[tuple[float, float]], *, target: float | None) -> None:
    milliseconds = [1000 * statistics.median(column) for column in zip(*pairs, strict=True)]
    middle, low, high = interval([other / one for one, other in pairs])
    added, least, most = interval([1000 * (other - one) for one, other in pairs])
    verdict = "" if target is None else f": {'met' if middle <= target else 'MISSED'} (at most {target})"
    print(
        f"{name:18} {milliseconds[0]:8.2f} ms and {milliseconds[1]:8.2f} ms, "
        f"{added:+.2f} [{least:+.2f}, {most:+.2f}] ms, ratio {middle:.3f} [{low:.3f}, {high:.3f}]{verdict}",
        flush=True,
    )


def main() -> None:
    """All sizes, or a profile of the engine's steps of the first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=100, help="of steps; twice as many of the small student")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(engine, arguments.sizes[0], 2 * arguments.pairs, lambda: None)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
        return
    for name in arguments.sizes:
        steps = _WARM_UP + arguments.pairs * (2 if name == "small" else 1)
        report(f"{name}, bare twice", against_itself(name, steps), target=None)
        report(f"{name}, engine", against_engine(name, steps), target=TARGET)


if __name__ == "__main__":
    main()
