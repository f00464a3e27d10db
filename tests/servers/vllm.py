"""vLLM as a process: the server that `make servers` installs, on a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import free_port, program, running

NAME = "served"
"""What the model is called at the server."""

_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


@contextmanager
def vllm_server(model: Path, log: Path, *flags: str, max_length: int = 257) -> Iterator[str]:
    """Serve a model in float32 until the block ends; the URL of its API.

    Args:
        model: folder.
        log: file for what the server says.
        flags: further ones of `vllm serve`.
        max_length: of a prompt and the token that is written behind it.
    """
    port = free_port()
    command = [
        str(program("vllm")), "serve", str(model), "--served-model-name", NAME, "--dtype", "float32",
        "--max-model-len", str(max_length), "--host", "127.0.0.1", "--port", str(port), "--enforce-eager",
        "--max-num-seqs", "8", *flags,
    ]  # fmt: skip
    with running(command, _CPU, health=f"http://127.0.0.1:{port}/health", log=log):
        yield f"http://127.0.0.1:{port}/v1"
