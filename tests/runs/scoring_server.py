"""A server that scores prompts as vLLM does (see `tests/signals/recorded`), from a model in this process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class ScoringServer:
    """What it was asked, and how it answers.

    Attributes:
        url: of its API.
        prompts: token ids of each call, in the order of arrival.
        left: calls that are answered before it breaks; None: it does not.
        most: ids of a position that it gives (`--max-logprobs`).
        limit: tokens of a prompt and what is written (`--max-model-len`).
    """

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.prompts: list[list[int]] = []
        self.left: int | None = None
        self.most, self.limit = 64, 512
        self._model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._turn = threading.Lock()

    def answer(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a call."""
        with self._turn:
            ids, most = asked["prompt"], asked["prompt_logprobs"]
            if most > self.most:
                return 400, _error(
                    f"Requested prompt logprobs of {most}, which is greater than max allowed: {self.most}"
                )
            if len(ids) + asked["max_tokens"] > self.limit:
                return 400, _error(f"prompt (length {len(ids)}) is longer than the maximum model length")
            if self.left is not None and self.left <= 0:
                return 403, _error("not allowed any more", "permission_denied")
            self.left = None if self.left is None else self.left - 1
            self.prompts.append(ids)
            choice = {
                "index": 0, "text": "", "finish_reason": "length", "prompt_token_ids": ids,
                "prompt_logprobs": [None, *self._scores(ids, most)],
            }  # fmt: skip
            usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}
            return 200, {"model": asked["model"], "choices": [choice], "usage": usage}

    def _scores(self, ids: list[int], most: int) -> Iterator[dict[str, Any]]:
        with torch.no_grad():
            log_probs = self._model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        ranks = log_probs.argsort(-1, descending=True).tolist()
        for position, chosen in enumerate(ids[1:]):
            top = ranks[position][:most]
            yield {
                str(one): {
                    "logprob": float(log_probs[position, one]),
                    "rank": ranks[position].index(one) + 1,
                    "decoded_token": self._tokenizer.decode([one]),
                }
                for one in dict.fromkeys([chosen, *top])
            }


@contextmanager
def scoring_server(folder: Path) -> Iterator[ScoringServer]:
    """Serve a model until the block ends."""
    found = ScoringServer(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = found.answer(asked)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _error(message: str, code: str = "BadRequestError") -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}
