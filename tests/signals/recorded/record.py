"""Records what a running vLLM says of `rows.jsonl`: `python -m tests.signals.recorded.record URL MODEL`."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer

from limbeck.assets import asset_path
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering

HERE = Path(__file__).parent
RENDERING = Rendering(model_kind="causal", max_length=64)
MOST = 8


def rendered() -> Dataset:
    """The rows as token ids of the code teacher."""
    rows = [json.loads(line) for line in (HERE / "rows.jsonl").read_text().splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(asset_path("code_teacher"))
    return render(Dataset.from_list(rows), tokenizer, RENDERING)


def main(url: str, model: str) -> None:
    """Ask about each row alone, and write the answers as they came."""
    lines = []
    for ids in rendered()["input_ids"]:
        asked = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 1.0}
        asked |= {"prompt_logprobs": MOST, "return_token_ids": True}
        lines.append(json.dumps(_post(f"{url}/completions", asked), separators=(",", ":")))
    (HERE / "answers.jsonl").write_text("\n".join(lines) + "\n")


def _post(url: str, asked: dict[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode(), headers)) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
