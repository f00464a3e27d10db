"""Sequence correction and regeneration: the teacher mends one token, the student writes on from there."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from limbeck.core.outputs import Outputs
from limbeck.rollouts.logits import logit_chunks
from limbeck.rollouts.rollout import Rollout, collate_rollouts
from limbeck.rollouts.writers import WriteOptions, Writers


def revise(
    written: Sequence[Rollout],
    prompt_lengths: Sequence[int],
    *,
    writers: Writers,
    room: int,
    options: WriteOptions,
) -> list[Rollout]:
    """Each completion with its worst token replaced by the teacher's, and written anew from there.

    The worst is the position where KL(teacher || student) is largest among those where the
    teacher's likeliest token is another than the one that stands there. A completion that the
    teacher agrees with everywhere stays as it is; one whose new token is the end stops there.

    Args:
        written: completions of the student.
        prompt_lengths: tokens that are not theirs.
        writers: student and teacher.
        room: most tokens of a completion.
        options: of what is written anew.

    Source:
        Liu et al. 2024, arXiv:2407.10068 (SCRG), section 3.1; no official code is known.
    """
    places, tokens = _worst(written, writers)
    kept = list(written)
    starts: list[tuple[int, tuple[int, ...]]] = []
    for line, (one, place, token) in enumerate(zip(written, places, tokens, strict=True)):
        if place is None:
            continue
        prefix = (*one.ids[:place], token)
        prompt = prefix[: prompt_lengths[line]]
        kept[line] = one.answered(prompt, prefix[len(prompt) :], one.source)
        if token not in writers.ids.eos and len(prefix) - len(prompt) < room:
            starts.append((line, prefix))
    if starts:
        left = [room - (len(prefix) - prompt_lengths[line]) for line, prefix in starts]
        prefixes = [prefix for _, prefix in starts]
        rest = writers.student.write(prefixes, replace(options, max_new_tokens=left))
        for (line, prefix), more in zip(starts, rest, strict=True):
            prompt = prefix[: prompt_lengths[line]]
            answer = (*prefix[len(prompt) :], *more)
            kept[line] = written[line].answered(prompt, answer, written[line].source)
    return kept


@torch.no_grad()
def _worst(written: Sequence[Rollout], writers: Writers) -> tuple[list[int | None], list[int]]:
    """For each completion the index of its worst token, None without any, and the teacher's token there."""
    assert writers.ask_teacher is not None
    batch = collate_rollouts(written, writers.ids.pad, writers.device)
    assert batch.targets is not None and batch.loss_mask is not None
    loss_mask = batch.loss_mask
    gap, best = _gaps(writers.ask_student(batch), writers.ask_teacher(batch), loss_mask)
    differs = best != batch.targets[loss_mask]
    spread = torch.full(loss_mask.shape, -torch.inf, device=batch.device)
    spread = spread.masked_scatter(loss_mask, torch.where(differs, gap, -torch.inf))
    tokens = torch.zeros_like(batch.targets).masked_scatter(loss_mask, best)
    top, place = spread.max(1)
    chosen = tokens.gather(1, place[:, None]).squeeze(1)
    # Position t predicts token t + 1.
    found = zip(top.tolist(), place.tolist(), strict=True)
    return [None if value == -torch.inf else t + 1 for value, t in found], chosen.tolist()


def _gaps(student: Outputs, teacher: Outputs, loss_mask: Tensor) -> tuple[Tensor, Tensor]:
    """KL(teacher || student) [N], and the teacher's likeliest token [N]."""
    gaps, best = [], []
    for z, u in zip(logit_chunks(student, loss_mask), logit_chunks(teacher, loss_mask), strict=True):
        log_q, log_p = z.log_softmax(-1), u.log_softmax(-1)
        gaps.append((log_p.exp() * (log_p - log_q)).sum(-1))
        best.append(log_p.argmax(-1))
    return torch.cat(gaps), torch.cat(best)
