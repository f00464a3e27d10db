"""Trains a small Llama for a few minutes with any tokenizer: a teacher with a real vocabulary for benchmarks.

python benchmarks/small_teacher.py --tokenizer tokenizer.json --text FILE.parquet... --minutes 4 --out DIR
"""

import argparse
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WIDTH, LAYERS, HEADS, WINDOW, ROWS = 128, 2, 4, 128, 8
LEARNING_RATE, WARMUP = 3e-3, 20


def texts(paths: list[Path]) -> list[str]:
    """The column `text` of every file."""
    return [text for path in paths for text in pq.read_table(path, columns=["text"])["text"].to_pylist()]


def train(tokenizer: PreTrainedTokenizerFast, stream: Tensor, seconds: float) -> LlamaForCausalLM:
    """A model that saw random windows of the stream for so long; the rate falls to zero at the end."""
    torch.manual_seed(0)
    end = tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0)
    started, step = time.monotonic(), 0
    while (spent := (time.monotonic() - started) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP, 2 * (1 - spent))
        starts = torch.randint(len(stream) - WINDOW, (ROWS,)).tolist()
        rows = torch.stack([stream[start : start + WINDOW + 1] for start in starts])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=rows[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % 20 == 0:
            print(f"step {step}: {loss.item():.3f} nats, {spent:.0%}", flush=True)
    return model.eval()


def main() -> None:
    """Read the command line, train, save."""
    parser = argparse.ArgumentParser(description="Train a small teacher.")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--end", default="<|endoftext|>", help="its end token")
    parser.add_argument(
        "--text", type=Path, nargs="+", required=True, help="Parquet files with a column text"
    )
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(options.tokenizer), eos_token=options.end, pad_token=options.end
    )
    ids = [tokenizer(text)["input_ids"] for text in texts(options.text)]
    stream = torch.cat([torch.tensor([*row, tokenizer.eos_token_id]) for row in ids])
    print(f"{len(stream):,} tokens, {len(tokenizer):,} ids", flush=True)
    model = train(tokenizer, stream, 60 * options.minutes)
    model.save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)


if __name__ == "__main__":
    main()
