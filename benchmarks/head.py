"""The fused head against bare matrix products, dense autograd and TRL's chunked divergence.

Value and gradients (hidden states, head weight) of every pointwise objective, from hidden states:

    python benchmarks/head.py        # on a CPU: a small student with a large vocabulary
    python benchmarks/head.py --device cuda --dtype bfloat16 --rows 8192 --teacher-width 4096

Times are medians of interleaved repeats, printed as ratios to the bare products of the same run: student
logits, teacher logits (where a teacher is projected), gradient of the hidden states, gradient of the weight.
Extra peak memory is measured in a fresh process for each row. TRL is compared where it can be imported.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from measure import extra_memory, machine, write_result
from torch import Tensor

from limbeck import objectives
from limbeck.core.signals import BATCH_SIGNALS, TopK
from limbeck.objectives.fused import linear_objective

OBJECTIVES: dict[str, dict[str, Any]] = {
    "forward_kl": {},
    "reverse_kl": {},
    "jsd": {"beta": 0.5},
    "skew_forward_kl": {"alpha": 0.1},
    "skew_reverse_kl": {"alpha": 0.1},
    "total_variation": {},
    "uld": {},
    "alpha_divergence": {"alpha": 0.5},
    "adaptive_kl": {},
    "taid": {"t": 0.4},
    "decoupled_kd": {"alpha": 1.0, "beta": 1.0},
    "clipped_kl": {"low": 0.05, "high": 1.0},
    "logit_mse": {},
    "corrected_mse": {},
    "cross_entropy": {},
    "policy_gradient": {"clip": 0.2},
    "forward_kl/topk": {},
}
TEACHERLESS = ("cross_entropy", "policy_gradient")
TRL_BETA = {"forward_kl": 0.0, "reverse_kl": 1.0, "jsd": 0.5}
TOP_K = 64
TARGETS = {"forward_kl": 1.15, "others": 1.6, "faster_than_trl": 2.5, "memory_of_trl": 0.5}
COLUMNS = (
    ("fused_over_products", 2, "fused"),
    ("plain_over_products", 2, "plain"),
    ("trl_over_products", 2, "trl"),
    ("trl_over_fused", 2, "trl/fused"),
    ("fused_mib", 0, "fused"),
    ("plain_mib", 0, "plain"),
    ("trl_mib", 0, "trl"),
)
MIB = 2**20
SCALE = 0.05  # of the weights: logits with a standard deviation near 1


class Inputs:
    """Hidden states, heads, labels, a stored teacher and weights, all from one seed."""

    def __init__(self, args: argparse.Namespace, rows: int | None = None) -> None:
        torch.manual_seed(0)
        dtype, device = getattr(torch, args.dtype), args.device
        n, v = rows or args.rows, args.vocabulary
        self.h = torch.randn(n, args.student_width, device=device, dtype=dtype, requires_grad=True)
        self.w = torch.randn(v, args.student_width, device=device, dtype=dtype).mul_(SCALE).requires_grad_()
        self.ht = torch.randn(n, args.teacher_width, device=device, dtype=dtype)
        self.wt = torch.randn(v, args.teacher_width, device=device, dtype=dtype).mul_(SCALE)
        self.labels = torch.randint(v, (n,), device=device)
        self.numbers = {name: torch.full((n,), -1.0, device=device) for name in BATCH_SIGNALS}
        self.weights = torch.full((n,), 1 / n, device=device)
        ids = torch.rand(n, v // TOP_K, device=device).argsort(-1)[:, :TOP_K] * TOP_K
        log_probs = torch.randn(n, TOP_K, device=device).log_softmax(-1) - 0.1
        self.topk = TopK(ids, log_probs, (-log_probs.exp().sum(-1)).log1p())


def products(x: Inputs, *, teacher: bool) -> None:
    """The matrix products that no method can avoid."""
    with torch.no_grad():
        z = x.h @ x.w.T
        if teacher:
            x.ht @ x.wt.T
        z @ x.w
        z.T @ x.h


def fused(name: str, x: Inputs) -> None:
    """Value and gradients by `limbeck.objectives.fused`."""
    function, options = _objective(name)
    options = {"labels": x.labels, "numbers": x.numbers, **options}
    if name.endswith("/topk"):
        loss = linear_objective(function, x.h, x.w, weights=x.weights, teacher_topk=x.topk, **options)
    elif name in TEACHERLESS:
        loss = linear_objective(function, x.h, x.w, weights=x.weights, **options)
    else:
        loss = linear_objective(function, x.h, x.w, x.ht, x.wt, weights=x.weights, **options)
    _backward(loss, x)


def plain(name: str, x: Inputs) -> None:
    """Value and gradients by dense logits and autograd."""
    function, options = _objective(name)
    arguments: list[Any] = [x.h @ x.w.T]
    if name.endswith("/topk"):
        arguments.append(x.topk)
    elif name not in TEACHERLESS:
        arguments.append(x.ht @ x.wt.T)
    if "labels" in signature(function).parameters:
        arguments.append(x.labels)
    arguments += [x.numbers[name] for name in BATCH_SIGNALS if name in signature(function).parameters]
    _backward((x.weights * function(*arguments, **options)).sum(), x)


def trl(name: str, x: Inputs) -> None:
    """Value and gradients by TRL."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    divergence, _ = ChunkedDivergenceFunction.apply(x.h, x.w, None, x.ht, x.wt, None, TRL_BETA[name])
    _backward((x.weights * divergence).sum(), x)


METHODS: dict[str, Callable[[str, Inputs], None]] = {"fused": fused, "plain": plain, "trl": trl}


def main() -> None:
    """Measure, print, and write JSON."""
    args = _parse()
    if args.memory_of:
        method, name = args.memory_of.split(":")
        print(_extra_peak(args, METHODS[method], name))
        return
    names = list(OBJECTIVES) if args.objectives == ["all"] else args.objectives
    has_trl = "trl" not in args.skip and _has_trl()
    jobs = [(method, name) for name in names for method in ("fused", "plain") if method not in args.skip]
    jobs += [("trl", name) for name in names if has_trl and name in TRL_BETA]
    seconds = _times(args, jobs)
    memory = {} if "memory" in args.skip else {job: _memory(args, job) for job in jobs}
    report = _report(args, names, seconds, memory)
    _print(report, has_trl)
    if args.json:
        write_result(Path(args.json), report)


def _objective(name: str) -> tuple[Callable[..., Tensor], dict[str, Any]]:
    return getattr(objectives, name.removesuffix("/topk")), OBJECTIVES[name]


def _backward(loss: Tensor, x: Inputs) -> None:
    loss.backward()
    x.h.grad = x.w.grad = None


def _has_trl() -> bool:
    try:
        import trl.kernels.chunked_divergence  # noqa: F401
    except ImportError:
        return False
    return True


def _times(args: argparse.Namespace, jobs: list[tuple[str, str]]) -> dict[tuple[str, str], list[float]]:
    x = Inputs(args)
    runs: dict[tuple[str, str], Callable[[], None]] = {
        ("products", "teacher"): lambda: products(x, teacher=True),
        ("products", "student"): lambda: products(x, teacher=False),
    }
    for method, name in jobs:
        runs[method, name] = partial(METHODS[method], name, x)
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for repeat in range(args.repeats + 1):
        for key, run in runs.items():
            elapsed = _clock(args, run)
            if repeat:  # the first round warms up
                seconds[key].append(elapsed)
        print(f"round {repeat} of {args.repeats} done", file=sys.stderr, flush=True)
    return seconds


def _clock(args: argparse.Namespace, run: Callable[[], None]) -> float:
    if args.device != "cpu":
        torch.cuda.synchronize()
    clock = {"wall": time.perf_counter, "processor": time.process_time}[args.clock]
    start = clock()
    run()
    if args.device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def _memory(args: argparse.Namespace, job: tuple[str, str]) -> int:
    command = [sys.executable, __file__, "--memory-of", ":".join(job)]
    for field in ("device", "rows", "vocabulary", "student_width", "teacher_width", "dtype", "threads"):
        command += [f"--{field.replace('_', '-')}", str(getattr(args, field))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.strip().splitlines()[-1])


def _extra_peak(args: argparse.Namespace, method: Callable[[str, Inputs], None], name: str) -> int:
    small = argparse.Namespace(**{**vars(args), "vocabulary": 1024})
    method(name, Inputs(small, rows=8))  # libraries allocate when first used
    x = Inputs(args)
    with extra_memory(args.device) as memory:
        method(name, x)
    return memory.bytes


def _report(
    args: argparse.Namespace,
    names: list[str],
    seconds: dict[tuple[str, str], list[float]],
    memory: dict[tuple[str, str], int],
) -> dict[str, Any]:
    def ratio(top: tuple[str, str], bottom: tuple[str, str]) -> float:
        # Of medians: repeats are interleaved, so a busy machine slows both.
        return statistics.median(seconds[top]) / statistics.median(seconds[bottom])

    rows = []
    for name in names:
        base = ("products", "student" if name in (*TEACHERLESS, "forward_kl/topk") else "teacher")
        row: dict[str, Any] = {"objective": name, "target": TARGETS.get(name, TARGETS["others"])}
        for method in METHODS:
            if (method, name) in seconds:
                row[f"{method}_over_products"] = ratio((method, name), base)
            if (method, name) in memory:
                row[f"{method}_mib"] = memory[method, name] / MIB
        if ("trl", name) in seconds:
            row["trl_over_fused"] = ratio(("trl", name), ("fused", name))
        if ("trl", name) in memory:
            row["fused_memory_over_trl"] = memory["fused", name] / memory["trl", name]
        rows.append(row)
    return {
        "settings": {key: value for key, value in vars(args).items() if key not in ("json", "memory_of")},
        "machine": machine(args.device),
        "targets": TARGETS,
        "products_seconds": {key[1]: value for key, value in seconds.items() if key[0] == "products"},
        "rows": rows,
    }


def _print(report: dict[str, Any], has_trl: bool) -> None:
    base = statistics.median(report["products_seconds"]["teacher"])
    print(report["machine"])
    print(
        f"four bare products: {base:.3f} s; times are ratios to the products of the objective, memory in MiB"
    )
    line = "{:18} {:>6} {:>6} {:>6} {:>10} {:>7} {:>7} {:>7}  {}"
    print(line.format("objective", *(title for _, _, title in COLUMNS), "verdict"))
    for row in report["rows"]:
        print(
            line.format(
                row["objective"],
                *(f"{row[key]:.{digits}f}" if key in row else "" for key, digits, _ in COLUMNS),
                "; ".join(_verdicts(row)),
            )
        )
    if not has_trl:
        print("trl was skipped or cannot be imported here: not compared.")


def _verdicts(row: dict[str, Any]) -> list[str]:
    found = [_verdict("time", row["fused_over_products"] <= row["target"], row["target"])]
    if row["objective"] == "forward_kl" and "trl_over_fused" in row:
        speed = TARGETS["faster_than_trl"]
        found.append(_verdict("speed against trl", row["trl_over_fused"] >= speed, speed))
    if row["objective"] == "forward_kl" and "fused_memory_over_trl" in row:
        share = TARGETS["memory_of_trl"]
        found.append(_verdict("memory against trl", row["fused_memory_over_trl"] <= share, share))
    return found


def _verdict(what: str, holds: bool, target: float) -> str:
    return f"{what} {'holds' if holds else 'MISSED'} ({target})"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=151_936, help="default: Qwen's")
    parser.add_argument("--student-width", type=int, default=256)
    parser.add_argument("--teacher-width", type=int, default=512)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument(
        "--objectives", nargs="+", default=["all"], choices=["all", *OBJECTIVES], metavar="NAME"
    )
    parser.add_argument(
        "--clock",
        default="wall",
        choices=("wall", "processor"),
        help="processor: on a busy machine, with --threads 1",
    )
    parser.add_argument("--skip", nargs="*", default=[], choices=("plain", "trl", "memory"))
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    return args


if __name__ == "__main__":
    main()
