"""A whole training step: limbeck against a bare PyTorch loop and TRL's GKD trainer, in one run.

All contestants train the same student from the same teacher on the same micro-batches with forward
KL and AdamW. `bare` is the least code that does it with limbeck's fused objective (what the engine
adds is its overhead); `bare dense` the same with dense logits; `limbeck` the engine; `packed` the
engine on the same rows laid end to end; `trl` GKDTrainer with lmbda=0, beta=0.

    python benchmarks/step.py [--device cuda] [--json FILE]

TRL is needed only here: `pip install trl==1.16.0`; without it its row is left out.
Peak memory is taken in a process of its own for each contestant, above what both models hold.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import extra_memory, machine, trl_version, write_result
from transformers import LlamaConfig, LlamaForCausalLM

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE, next_token_targets
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.objectives import forward_kl
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.fused import linear_objective

# Deciles of prompt and answer length (32,000-piece tokenizer) over 9,901 rows of six public
# instruction sets: Alpaca, Code Alpaca, GPTeacher code and role play, Self-Instruct seed and eval.
PROMPT_DECILES = (5, 15, 20, 23, 27, 31, 35, 40, 48, 64, 200)
ANSWER_DECILES = (2, 20, 38, 55, 70, 86, 101, 117, 139, 177, 512)
VOCABULARY = 32_000
CONTESTANTS = ("bare", "bare dense", "limbeck", "packed", "trl")
TARGETS = {"overhead": 1.05, "trl speed": 2.0, "trl memory": 0.4}


class Rows:
    """Rows with the lengths of real instruction data; entry i is a whole micro-batch of `size` rows."""

    def __init__(self, steps: int, size: int, *, packed: bool = False, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        places = np.linspace(0, 1, 11)

        def lengths(deciles: Sequence[int]) -> np.ndarray:
            return np.interp(generator.random(steps * size), places, deciles).astype(int)

        prompts, answers = lengths(PROMPT_DECILES), lengths(ANSWER_DECILES)
        self.rows = [
            (generator.integers(3, VOCABULARY, prompt + answer), prompt)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        self.size, self.packed = size, packed

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def batch(self, indices: Sequence[int]) -> Batch:
        """The micro-batches `indices`, one after another, padded or laid end to end."""
        rows = [row for index in indices for row in self.rows[index * self.size : (index + 1) * self.size]]
        return _packed(rows) if self.packed else _padded(rows)

    @property
    def tokens(self) -> int:
        return sum(len(ids) for ids, _ in self.rows)


def _padded(rows: Sequence[tuple[np.ndarray, int]]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids, mask, loss_mask = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(3))
    for place, (row, prompt) in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
        loss_mask[place, prompt : len(row)] = 1
    targets = next_token_targets(ids, loss_mask.astype(bool), np.where(mask == 1, 0, -1))
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    return Batch(inputs, torch.tensor(targets), [("row",)] * len(rows))


def _packed(rows: Sequence[tuple[np.ndarray, int]]) -> Batch:
    ids = np.concatenate([row for row, _ in rows])[None]
    loss_mask = np.concatenate([np.arange(len(row)) >= prompt for row, prompt in rows])[None]
    numbers = np.concatenate([np.full(len(row), place) for place, (row, _) in enumerate(rows)])[None]
    positions = np.concatenate([np.arange(len(row)) for row, _ in rows])[None]
    inputs = {"input_ids": torch.tensor(ids), "position_ids": torch.tensor(positions)}
    return Batch(inputs, torch.tensor(next_token_targets(ids, loss_mask, numbers)), [("row",) * len(rows)])


def models(device: str, dtype: torch.dtype) -> tuple[LlamaForCausalLM, LlamaForCausalLM]:
    """The student (4 layers of 256) and the teacher (8 layers of 512), random weights."""
    built = []
    for seed, (layers, width) in enumerate(((4, 256), (8, 512))):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
        )
        built.append(LlamaForCausalLM(config).to(device=device, dtype=dtype))
    return built[0], built[1].eval()


def run_bare(
    student: Any, teacher: Any, rows: Rows, steps: int, device: str, *, dense: bool = False
) -> float:
    """Seconds of `steps` steps of the least code; the first step is not counted."""
    student.train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=0.0)
    body, head = student.model, student.lm_head.weight
    started = 0.0
    for step in range(steps):
        if step == 1:
            started = clock(device)
        batch = rows.batch([step]).to(torch.device(device))
        loss_mask = batch.targets != IGNORE
        if dense:
            with torch.no_grad():
                log_p = teacher(**batch.inputs, use_cache=False).logits.float().log_softmax(-1)
            log_q = student(**batch.inputs, use_cache=False).logits.float().log_softmax(-1)
            loss = (log_p.exp() * (log_p - log_q)).sum(-1)[loss_mask].mean()
        else:
            with torch.no_grad():
                answer = teacher.model(**batch.inputs, use_cache=False).last_hidden_state[loss_mask]
            hidden = body(**batch.inputs, use_cache=False).last_hidden_state[loss_mask]
            weights = torch.full((len(hidden),), 1 / len(hidden), device=device)
            loss = linear_objective(forward_kl, hidden, head, answer, teacher.lm_head.weight, weights=weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
    return clock(device) - started


def run_limbeck(student: Any, teacher: Any, rows: Rows, steps: int, device: str) -> float:
    """Seconds of `steps` steps of the engine; the first step is not counted."""
    settings = TrainingSettings(max_steps=steps, per_device_train_batch_size=1, save_steps=None)
    criterion = Criterion([Term("forward_kl", forward_kl, ("student_logits", "teacher_logits"))])
    reader, needs, times = ForwardModel(teacher).probe(), criterion.teacher_needs, []

    def answer(batch: Batch) -> Outputs:
        return reader.read(batch.inputs, needs)

    party = Party("student", student, ForwardModel(student).probe(), criterion, settings, answer)
    with tempfile.TemporaryDirectory() as folder:
        # The engine shuffles entries; every entry is a step, so all contestants do the same work.
        train(
            [party],
            rows,
            folder=Path(folder),
            on_step=lambda report: times.append(clock(device)),
        )
    return times[-1] - times[0]


def run_trl(student: Any, teacher: Any, rows: Rows, steps: int, device: str) -> float:
    """Seconds of `steps` steps of GKDTrainer on the same micro-batches; the first is not counted."""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers import models as tokenizer_models
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            times.append(clock(device))

    def collate(items: list[dict[str, int]]) -> dict[str, torch.Tensor]:
        batch = rows.batch([items[0]["entry"]])
        ids, targets = batch.inputs["input_ids"], batch.targets
        labels = torch.full_like(ids, IGNORE)
        labels[:, 1:] = targets[:, :-1]  # TRL shifts by itself
        # GKD compares distributions from `prompts.shape[1]` on; masked positions are left out by the labels.
        empty = ids[:, :1]
        return {
            **batch.inputs,
            "labels": labels,
            "prompts": empty,
            "prompt_attention_mask": torch.ones_like(empty),
        }

    words = tokenizer_models.WordLevel({"<eos>": 0, "<unk>": 1}, unk_token="<unk>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(words), eos_token="<eos>", pad_token="<eos>"
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = GKDConfig(
            output_dir=folder,
            lmbda=0.0,
            beta=0.0,
            temperature=1.0,
            max_steps=steps,
            per_device_train_batch_size=1,
            learning_rate=1e-4,
            lr_scheduler_type="cosine",
            bf16=False,
            use_cpu=device == "cpu",
            gradient_checkpointing=False,
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        trainer = GKDTrainer(
            model=student,
            teacher_model=teacher,
            args=arguments,
            data_collator=collate,
            train_dataset=Dataset.from_dict({"entry": list(range(len(rows)))}),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        trainer.train()
    return times[-1] - times[0]


RUNS: dict[str, Callable[..., float]] = {
    "bare": run_bare,
    "bare dense": lambda *args: run_bare(*args, dense=True),
    "limbeck": run_limbeck,
    "packed": run_limbeck,
    "trl": run_trl,
}


def clock(device: str) -> float:
    """Now, after everything that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def contest(name: str, arguments: argparse.Namespace, *, seed: int) -> dict[str, float]:
    """One contestant with fresh models: tokens per second and peak memory above the models."""
    student, teacher = models(arguments.device, getattr(torch, arguments.dtype))
    rows = Rows(arguments.steps, arguments.rows, packed=name == "packed", seed=seed)
    # The first step warms up and is not timed; the rows of a step are equal on average.
    tokens = rows.tokens * (arguments.steps - 1) / arguments.steps
    with extra_memory(arguments.device) as memory:
        seconds = RUNS[name](student, teacher, rows, arguments.steps, arguments.device)
    return {"tokens_per_second": tokens / seconds, "extra_memory": memory.bytes}


def memory_of(name: str, arguments: argparse.Namespace) -> float:
    """Peak memory of one contestant in a process of its own, bytes."""
    command = [sys.executable, __file__, "--only", name, "--steps", "4", "--rows", str(arguments.rows)]
    command += ["--device", arguments.device, "--dtype", arguments.dtype]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(printed.strip().splitlines()[-1])["extra_memory"])


def main() -> None:
    """Measure all contestants in turns and print what the engine costs and gains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rows", type=int, default=8, help="rows of one step")
    parser.add_argument("--steps", type=int, default=10, help="steps of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contestant, in turns")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(contest(arguments.only, arguments, seed=0)))
        return
    names = [name for name in arguments.contestants if name != "trl" or trl_version()]
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(arguments.rounds):
        for name in names:
            speeds[name].append(contest(name, arguments, seed=turn)["tokens_per_second"])
    memory = {name: memory_of(name, arguments) for name in names}
    report(speeds, memory, arguments)


def report(speeds: dict[str, list[float]], memory: dict[str, float], arguments: argparse.Namespace) -> None:
    """Print medians, ratios round by round, and the verdict on every target."""

    def ratio(name: str, other: str) -> float:
        pairs = zip(speeds[name], speeds[other], strict=True)
        return statistics.median(one / two for one, two in pairs)

    first = next(iter(speeds))
    print(f"{'contestant':12} {'tokens/s':>9} {'x ' + first:>8} {'extra MiB':>10}")
    for name, values in speeds.items():
        median, mib = statistics.median(values), memory[name] / 2**20
        print(f"{name:12} {median:9,.0f} {ratio(name, first):8.2f} {mib:10,.0f}")
    if "trl" not in speeds:
        print("trl is not there: pip install trl==1.16.0")
    verdicts: dict[str, tuple[float, str, float]] = {}
    if {"bare", "limbeck"} <= speeds.keys():
        verdicts["overhead"] = (ratio("bare", "limbeck"), "at most", TARGETS["overhead"])
    if {"trl", "limbeck", "packed"} <= speeds.keys():
        verdicts["trl speed"] = (ratio("limbeck", "trl"), "at least", TARGETS["trl speed"])
        verdicts["trl speed, packed"] = (ratio("packed", "trl"), "at least", TARGETS["trl speed"])
        verdicts["trl memory"] = (memory["limbeck"] / memory["trl"], "at most", TARGETS["trl memory"])
    for name, (value, word, target) in verdicts.items():
        met = value <= target if word == "at most" else value >= target
        print(f"{name}: {value:.2f} ({word} {target}): {'met' if met else 'MISSED'}")
    if arguments.json:
        result = {
            "speeds": speeds,
            "extra_memory": memory,
            "verdicts": verdicts,
            "machine": machine(arguments.device),
        }
        write_result(arguments.json, result)


if __name__ == "__main__":
    main()
