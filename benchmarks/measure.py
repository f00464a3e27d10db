"""What every benchmark needs: peak memory, the machine it ran on, a result file."""

import json
import os
import platform
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


@dataclass
class Memory:
    """Peak of the memory in use above what was there at the start, bytes."""

    bytes: int = 0


@contextmanager
def extra_memory(device: str) -> Iterator[Memory]:
    """Peak memory of what runs inside: allocations on cuda, the kernel's count of resident memory on cpu."""
    memory = Memory()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        yield memory
        torch.cuda.synchronize()
        memory.bytes = torch.cuda.max_memory_allocated() - start
    else:
        start = _reset_peak()
        yield memory
        memory.bytes = _peak() - start


def machine(device: str) -> dict[str, Any]:
    """Kind of processor, cores, threads, versions, date."""
    return {
        "processor": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "trl": trl_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def trl_version() -> str | None:
    """Version of TRL, or None where it is not installed."""
    try:
        return version("trl")
    except PackageNotFoundError:
        return None


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write the result as JSON."""
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _reset_peak() -> int:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak to the present size
    except OSError:
        return _peak()
    return int(re.findall(r"VmRSS:\s+(\d+)", _status())[0]) * 1024


def _peak() -> int:
    found = re.findall(r"VmHWM:\s+(\d+)", _status())
    return int(found[0]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status() -> str:
    path = Path("/proc/self/status")
    return path.read_text(encoding="ascii") if path.exists() else ""


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    found = re.findall(r"model name\s*:\s*(.+)", path.read_text(encoding="utf-8")) if path.exists() else []
    return found[0] if found else platform.processor()
