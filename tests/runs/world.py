"""A small world on disk for whole runs: models of every kind, and rows for each recipe."""

import json
from pathlib import Path

from limbeck.core.models import save_model
from tests import tiny

WORDS = tuple(dict.fromkeys(word for text in tiny.TEXTS for word in text.replace(",", "").split()))


def make_world(folder: Path) -> Path:
    """Fill `folder` with models (`teacher`, `student`, `other`, `t5`, `bert`, `masked`) and `*.jsonl`."""
    chat = tiny.tiny_tokenizer()
    save_model(tiny.tiny_llama(layers=3, seed=1), chat, folder / "teacher")
    save_model(tiny.tiny_llama(layers=1, seed=2), chat, folder / "student")
    save_model(tiny.tiny_llama(layers=1, vocab=300), tiny.tiny_tokenizer(vocab=300), folder / "other")
    save_model(tiny.tiny_t5(layers=1), tiny.tiny_seq2seq_tokenizer(), folder / "t5")
    save_model(tiny.tiny_bert(layers=4), tiny.tiny_encoder_tokenizer(), folder / "bert")
    save_model(tiny.tiny_masked_bert(layers=4), tiny.tiny_encoder_tokenizer(), folder / "masked")
    texts = [" ".join(WORDS[(n * k) % len(WORDS)] for k in range(4, 16)) for n in range(1, 25)]
    rows = {
        "texts": [{"text": text} for text in texts],
        "answers": [{"prompt": text[:20].strip(), "completion": text[20:].strip()} for text in texts],
        "reasons": [
            {"question": f"{n} and {n}", "llm_rationale": f"two times {n}", "answer": str(2 * n)}
            for n in range(24)
        ],
        "pairs": [
            {"prompt": text[:20].strip(), "chosen": text[20:].strip(), "rejected": text[::-1][:24].strip()}
            for text in texts
        ],
        "labels": [{"text": text, "label": n % 3} for n, text in enumerate(texts)],
    }
    rows["domains"] = [row | {"domain": "abc"[n % 3]} for n, row in enumerate(rows["answers"])]
    for name, found in rows.items():
        write_rows(folder / f"{name}.jsonl", found)
    return folder


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
