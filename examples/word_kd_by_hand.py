"""Word-level distillation in plain torch and transformers, top to bottom.

    python examples/word_kd_by_hand.py TEACHER STUDENT rows.jsonl OUT

This is what the step `train` of `limbeck run word_kd` does with `packing: false`, without anything that makes
it fast, safe or general: a test holds both against each other, weight by weight. Rows are
`{"prompt": ..., "completion": ...}`; both models share one tokenizer.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

LEARNING_RATE, STEPS, SEED = 1e-3, 4, 0
ROWS, ACCUMULATION = 2, 2  # rows of a micro-batch, micro-batches of a step
KD_RATIO = 0.5  # weight of the teacher's distribution; the rest is the data's own next token
MAX_LENGTH, MAX_GRAD_NORM, WEIGHT_DECAY, EPSILON = 128, 1.0, 0.01, 1e-8
IGNORE = -100


def encode(row, tokenizer):
    """Ids of prompt, answer and end; and what each position must predict: the answer and its end, shifted."""
    prompt, answer = row["prompt"], row["completion"]
    if not prompt[-1:].isspace() and not answer[:1].isspace():
        prompt += "\n"  # so that the answer's first token is the one the model will write
    read = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token_id is not None and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        read = [tokenizer.bos_token_id, *read]
    written = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    ids = [*read, *written][:MAX_LENGTH]
    # Position t predicts token t + 1, so the shift happens here, once; the last position predicts nothing.
    is_answer = [place >= len(read) for place in range(len(ids))]
    targets = [ids[t + 1] if is_answer[t + 1] else IGNORE for t in range(len(ids) - 1)] + [IGNORE]
    return ids, targets


def collate(rows, pad):
    """Rows of unequal length as rectangles, padded on the right: ids, mask, targets, each [B, T]."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([one + [pad] * (width - len(one)) for one, _ in rows])
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one, _ in rows])
    targets = torch.tensor([one + [IGNORE] * (width - len(one)) for _, one in rows])
    return ids, mask, targets


def order(count, steps, size, seed):
    """The rows of each step: one shuffle of all rows after another, cut into full steps."""
    stream = []
    for epoch in range(math.ceil(steps * size / count)):
        # A seed of its own for each shuffle, whatever else draws random numbers.
        digest = hashlib.sha256(repr((seed, "order", epoch)).encode()).digest()
        drawn = np.random.default_rng(int.from_bytes(digest[:8], "big") >> 1)
        stream += drawn.permutation(count).tolist()
    return [stream[step * size : (step + 1) * size] for step in range(steps)]


def distil(teacher, student, encoded, pad, steps=STEPS):
    """Train the student in place; the loss of each step."""
    teacher.eval().requires_grad_(False)
    student.train()
    matrices = [weight for weight in student.parameters() if weight.dim() >= 2]
    vectors = [weight for weight in student.parameters() if weight.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.95),
        eps=EPSILON,
    )
    # A half cosine from the learning rate to 0.
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    losses = []
    for chosen in order(len(encoded), steps, ROWS * ACCUMULATION, SEED):
        starts = range(0, len(chosen), ROWS)
        window = [collate([encoded[row] for row in chosen[start : start + ROWS]], pad) for start in starts]
        # A mean over the whole step: tokens are counted over all of its micro-batches before the first one.
        count = sum(int((targets != IGNORE).sum()) for _, _, targets in window)
        total = 0.0
        for ids, mask, targets in window:
            loss_mask = targets != IGNORE
            with torch.no_grad():
                log_p = teacher(input_ids=ids, attention_mask=mask).logits[loss_mask].log_softmax(-1)
            logits = student(input_ids=ids, attention_mask=mask).logits[loss_mask]
            log_q = logits.log_softmax(-1)
            kl = (log_p.exp() * (log_p - log_q)).sum(-1)  # KL(teacher || student) of each token, in nats
            data = cross_entropy(logits, targets[loss_mask], reduction="none")
            loss = (KD_RATIO * kl + (1 - KD_RATIO) * data).sum() / count
            loss.backward()  # the parts of a step add up
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(student.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses


def main(teacher_folder, student_folder, data, out):
    """Read, train, save."""
    tokenizer = AutoTokenizer.from_pretrained(student_folder)
    teacher = AutoModelForCausalLM.from_pretrained(teacher_folder, dtype=torch.float32)
    student = AutoModelForCausalLM.from_pretrained(student_folder, dtype=torch.float32)
    rows = [json.loads(line) for line in Path(data).read_text(encoding="utf-8").splitlines()]
    encoded = [encode(row, tokenizer) for row in rows]
    for step, loss in enumerate(distil(teacher, student, encoded, tokenizer.pad_token_id), 1):
        print(f"step {step}: {loss:.4f} nats")
    student.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
