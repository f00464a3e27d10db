"""vLLM as a process: the server that `make servers` installs, on a port of its own."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PLACE = "LIMBECK_SERVERS"
"""Environment variable with the environment's folder; without it, `.servers` of the checkout."""

NAME = "served"
"""What the model is called at the server."""

_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
_STARTS_WITHIN = 300.0  # seconds; 50 to 75 on two idle cores


@contextmanager
def vllm_server(model: Path, log: Path, *flags: str, max_length: int = 257) -> Iterator[str]:
    """Serve a model in float32 until the block ends; the URL of its API.

    Args:
        model: folder.
        log: file for what the server says.
        flags: further ones of `vllm serve`.
        max_length: of a prompt and the token that is written behind it.
    """
    port = _free_port()
    command = [
        str(_program()), "serve", str(model), "--served-model-name", NAME, "--dtype", "float32",
        "--max-model-len", str(max_length), "--host", "127.0.0.1", "--port", str(port), "--enforce-eager",
        "--max-num-seqs", "8", *flags,
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=os.environ | _CPU, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            # Its engine is a child: all of the session are asked to end, and none is left.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _program() -> Path:
    place = Path(os.environ.get(PLACE) or Path(__file__).parents[2] / ".servers") / "bin" / "vllm"
    if not place.is_file():
        pytest.skip(f"needs {place}: run `make servers`")
    return place


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise RuntimeError(f"vLLM did not start; the end of {log}: {log.read_text()[-2000:]}")
