"""A whole on-policy step: the student writes, the teacher judges, the student learns; beside TRL.

limbeck's engine with rollouts and TRL's `DistillationTrainer` train the same student from the same
teacher on the same prompts, at the same lengths, with the same divergence and the same number of
steps. Models have random weights, so every token is nearly equally likely; one id in 48
ends a completion, so that completions stop at lengths of the same (geometric) distribution on both
sides. What is drawn differs, therefore the ratio is printed per step and per written token.

    python benchmarks/on_policy.py [--case large|small] [--objective reverse_kl|jsd] [--json FILE]
    python benchmarks/on_policy.py --device cuda --dtype bfloat16 --case half-billion

The contestants run in turns; medians are over the rounds. After them, one more run of limbeck is
taken apart into its parts (writing, teacher, loss head, the student's passes, the rest), and on cuda
the share of the loss head is held against its target. TRL runs as it is meant to: no dropout, no
gradient checkpointing, its own fused optimizer and chunked divergence, generation with cache.
TRL is needed only here: `pip install trl==1.16.0`; without it its row is left out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from measure import extra_memory, machine, trl_version, write_result
from prompts import CASES, NEW_TOKENS, Prompts, models, stops, words_tokenizer

from limbeck import objectives
from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.outputs import Outputs
from limbeck.core.rollouts import RolloutSettings
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.core.transform import Transform
from limbeck.engine import Party, train
from limbeck.inference.generate import TokenIds
from limbeck.objectives.criterion import Criterion
from limbeck.rollouts import LocalWriter, Rollouts, Writers
from limbeck.teachers import LocalTeacher

# Where limbeck and TRL mean the same by beta.
BETA = {"reverse_kl": 1.0, "jsd": 0.5}
LEARNING_RATE = 1e-4
CONTESTANTS = ("limbeck", "trl")
PARTS = ("writing", "teacher", "loss head", "student forward", "student backward")
TARGETS = {"speed": 1.5, "head share": 0.15}


class Run(NamedTuple):
    """One measurement, the first step left out; `processor` counts the seconds of all threads at work."""

    seconds: float
    processor: float
    written: int


class InOrder(Transform):
    """The prompts as they come, and a new count of written tokens for each step."""

    def __init__(self, prompts: Prompts, written: list[int]) -> None:
        self._prompts, self._written = prompts, written

    def take(self, start: int, count: int) -> list[int]:
        """The next prompts."""
        self._written.append(0)
        return self._prompts.take(start, count)


def run_limbeck(student: Any, teacher: Any, prompts: Prompts, arguments: argparse.Namespace) -> Run:
    """The engine with rollouts, as a train step of a recipe puts them together."""
    settings = TrainingSettings(
        learning_rate=LEARNING_RATE,
        max_steps=arguments.steps,
        per_device_train_batch_size=1,
        save_steps=None,
    )
    options = {"beta": BETA["jsd"]} if arguments.objective == "jsd" else {}
    objective = getattr(objectives, arguments.objective)
    term = Term(arguments.objective, objective, ("student_logits", "teacher_logits"), hyperparameters=options)
    criterion = Criterion([term])
    reader = ForwardModel(student).probe()
    local, distribution = LocalTeacher(teacher, None), DISTRIBUTION
    clock, written = Clock(arguments.device), []

    def answer(batch: Batch) -> Outputs:
        written[-1] += int(batch.loss_mask.sum())  # type: ignore[union-attr]
        return local.answer(batch, criterion.teacher_needs)

    with tempfile.TemporaryDirectory() as folder:
        ids = TokenIds(tuple(stops(CASES[arguments.case])), prompts.pad)
        rollouts = Rollouts(
            RolloutSettings(max_new_tokens=NEW_TOKENS),
            shares={"student": 1.0, "teacher": 0.0, "fresh": 1.0},
            writers=Writers(
                trained=student,
                student=LocalWriter(student, ids, None),
                ask_student=lambda batch: reader.read(batch.inputs, distribution),
                teacher=LocalWriter(teacher, ids, None),
                ask_teacher=lambda batch: local.answer(batch, distribution),
                ids=ids,
            ),
            folder=Path(folder),
            seed=arguments.seed,
            needs_scores=False,
            packed=arguments.packed,
        )

        train(
            [Party("student", student, reader, criterion, settings, answer)],
            prompts,
            folder=Path(folder),
            transforms=[InOrder(prompts, written), rollouts],
            on_step=lambda report: clock.lap(),
        )
    return Run(*clock.passed, sum(written[1:]))


def run_trl(student: Any, teacher: Any, prompts: Prompts, arguments: argparse.Namespace) -> Run:
    """`DistillationTrainer` on the same prompts."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import DistillationConfig, DistillationTrainer

    clock = Clock(arguments.device)

    class Laps(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.lap()

    with tempfile.TemporaryDirectory() as folder:
        settings = DistillationConfig(
            output_dir=folder,
            beta=BETA[arguments.objective],
            temperature=1.0,
            max_completion_length=NEW_TOKENS,
            max_steps=arguments.steps,
            per_device_train_batch_size=arguments.rows,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="cosine",
            bf16=False,
            use_cpu=arguments.device == "cpu",
            gradient_checkpointing=False,
            shuffle_dataset=False,
            seed=arguments.seed,
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
        )
        texts = [" ".join(f"w{token}" for token in row) for row in prompts.rows]
        trainer = DistillationTrainer(
            model=student,
            teacher_model=teacher,
            args=settings,
            train_dataset=Dataset.from_dict({"prompt": texts}),
            processing_class=words_tokenizer(CASES[arguments.case].vocabulary),
            callbacks=[Laps()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    means = [entry["completions/mean_length"] for entry in trainer.state.log_history[:-1]]
    return Run(*clock.passed, round(sum(means[1:]) * arguments.rows))


RUNS: dict[str, Callable[..., Run]] = {"limbeck": run_limbeck, "trl": run_trl}


class Clock:
    """Times at which everything that was asked of the device is done."""

    def __init__(self, device: str) -> None:
        self.device, self.laps = device, list[tuple[float, float]]()

    def now(self) -> tuple[float, float]:
        """Seconds, and seconds of the processor: these do not count what other processes take."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def lap(self) -> None:
        """Keep the time."""
        self.laps.append(self.now())

    @property
    def passed(self) -> tuple[float, float]:
        """Between the first lap and the last."""
        (start, processor_start), (end, processor_end) = self.laps[0], self.laps[-1]
        return end - start, processor_end - processor_start


def contest(name: str, arguments: argparse.Namespace) -> tuple[Run, int]:
    """One contestant with fresh models: its run, and its peak memory above the models."""
    case = CASES[arguments.case]
    student, teacher = models(case, arguments.device, getattr(torch, arguments.dtype))
    prompts = Prompts(case, arguments.steps, arguments.rows, arguments.seed)
    with extra_memory(arguments.device) as memory:
        run = RUNS[name](student, teacher, prompts, arguments)
    return run, memory.bytes


def memory_of(name: str, arguments: argparse.Namespace) -> int:
    """Peak memory of one contestant in a process of its own, bytes."""
    command = [sys.executable, __file__, "--only", name, "--steps", "2"]
    for word in ("case", "objective", "rows", "device", "dtype", "seed"):
        command += [f"--{word}", str(getattr(arguments, word))]
    command += [] if arguments.packed else ["--padded"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(json.loads(printed.strip().splitlines()[-1])["extra_memory"])


def profile(arguments: argparse.Namespace) -> dict[str, float]:
    """Share of each part in limbeck's step; "the rest" is optimizer, journal and loop.

    On a CPU shares of the processor's time, which other processes do not disturb.
    """
    spent: dict[str, list[tuple[int, float]]] = {part: [] for part in PARTS}
    clock, step, learning = Clock(arguments.device), [0], [False]
    kind = 0 if arguments.device == "cuda" else 1

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        started = clock.now()[kind]
        yield
        spent[part].append((step[0], clock.now()[kind] - started))

    def watch(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            with timed(part):
                return function(*args, **kwargs)

        return watched

    def read(reader: ForwardModel, *args: Any) -> Outputs:
        if not (learning[0] and torch.is_grad_enabled()):
            return plain_read(reader, *args)
        with timed("student forward"):
            return plain_read(reader, *args)

    def call(rollouts: Rollouts, window: Any, number: int, total: int) -> Any:
        step[0], learning[0] = number, False
        with timed("writing"):
            batches = plain_call(rollouts, window, number, total)
        learning[0] = True
        return batches

    plain_read, plain_call = ForwardModel.read, Rollouts.__call__
    module = sys.modules[Criterion.__module__]
    with ExitStack() as stack:
        stack.enter_context(patch.object(Rollouts, "__call__", call))
        stack.enter_context(patch.object(ForwardModel, "read", read))
        stack.enter_context(patch.object(LocalTeacher, "answer", watch("teacher", LocalTeacher.answer)))
        stack.enter_context(patch.object(module, "linear_terms", watch("loss head", module.linear_terms)))  # type: ignore[attr-defined]
        stack.enter_context(
            patch.object(torch.Tensor, "backward", watch("student backward", torch.Tensor.backward))
        )
        run, _ = contest("limbeck", arguments)
    # The first step is not in `run.seconds`.
    shares = {part: sum(t for number, t in times if number) / run[kind] for part, times in spent.items()}
    return {**shares, "the rest": 1 - sum(shares.values())}


def main() -> None:
    """Measure both contestants in turns, then take limbeck's step apart."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, default="large")
    parser.add_argument("--objective", choices=BETA, default="reverse_kl")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rows", type=int, default=16, help="prompts of one step")
    parser.add_argument("--steps", type=int, default=4, help="steps of one run, the first one not timed")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant, in turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--padded", dest="packed", action="store_false", help="learn from padded rows")
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.only:
        run, memory = contest(arguments.only, arguments)
        print(json.dumps({**run._asdict(), "extra_memory": memory}))
        return
    names = [name for name in arguments.contestants if name != "trl" or trl_version()]
    runs: dict[str, list[Run]] = {name: [] for name in names}
    first = arguments.seed
    for turn in range(arguments.rounds):
        arguments.seed = first + turn
        for name in names if turn % 2 == 0 else names[::-1]:
            run, _ = contest(name, arguments)
            runs[name].append(run)
            print(f"round {turn + 1}: {name} {run.seconds:.2f} s, {run.written} tokens written", flush=True)
    arguments.seed = first
    memory = {name: memory_of(name, arguments) for name in names}
    report(runs, memory, profile(arguments), arguments)


def report(
    runs: dict[str, list[Run]],
    memory: dict[str, int],
    shares: dict[str, float],
    arguments: argparse.Namespace,
) -> None:
    """Print seconds, tokens and memory, the ratios round by round, where the time goes, the verdicts."""
    timed = arguments.steps - 1
    print(
        f"{'contestant':12} {'s/step':>8} {'cpu s/step':>10} {'written/step':>13} "
        f"{'written/s':>10} {'extra MiB':>10}"
    )
    for name, own in runs.items():
        seconds = statistics.median(run.seconds / timed for run in own)
        written = statistics.mean(run.written / timed for run in own)
        rate = statistics.median(run.written / run.seconds for run in own)
        processor = statistics.median(run.processor / timed for run in own)
        mib = memory[name] / 2**20
        print(f"{name:12} {seconds:8.2f} {processor:10.2f} {written:13.0f} {rate:10.1f} {mib:10,.0f}")
    print("limbeck's step: " + ", ".join(f"{part} {share:.0%}" for part, share in shares.items()))
    verdicts: dict[str, tuple[float, str, float]] = {}
    ratios: dict[str, list[float]] = {}
    if set(CONTESTANTS) <= runs.keys():
        pairs = list(zip(runs["limbeck"], runs["trl"], strict=True))
        for kind in ("seconds", "processor"):
            times = [getattr(trl, kind) / getattr(own, kind) for own, trl in pairs]
            tokens = [own.written / trl.written for own, trl in pairs]
            ratios[f"{kind} per step"] = times
            ratios[f"{kind} per written token"] = [a * b for a, b in zip(times, tokens, strict=True)]
        for name, values in ratios.items():
            print(f"speed against TRL, {name}: {', '.join(f'{value:.2f}' for value in values)}")
            verdicts[name] = (statistics.median(values), "at least", TARGETS["speed"])
    else:
        print("trl was not measured: pip install trl==1.16.0")
    if arguments.device == "cuda":
        verdicts["loss head's share"] = (shares["loss head"], "at most", TARGETS["head share"])
    for name, (value, word, target) in verdicts.items():
        met = value <= target if word == "at most" else value >= target
        print(f"{name}: {value:.2f} ({word} {target}): {'met' if met else 'MISSED'}")
    if arguments.json:
        result = {
            "case": arguments.case,
            "objective": arguments.objective,
            "runs": {name: [run._asdict() for run in own] for name, own in runs.items()},
            "ratios": ratios,
            "extra_memory": memory,
            "shares": shares,
            "verdicts": verdicts,
            "machine": machine(arguments.device),
        }
        write_result(arguments.json, result)


if __name__ == "__main__":
    main()
