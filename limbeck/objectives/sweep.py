"""One sweep over rows: values and gradients of pointwise objectives, chunk by chunk."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.core.mixture import mix
from limbeck.core.products import hidden_gradient, product_dtype, scores, weight_gradient
from limbeck.core.signals import Head, MixedHead, TopK
from limbeck.objectives.gradients import Block, PointwiseTerm, Slopes, value_and_gradient

# Sizes in bytes, of float32. On a CPU a chunk must be tall enough that reading the heads is cheap
# beside multiplying them, and a block small enough to stay in the cache over all passes.
_CPU_CHUNK = 150 * 2**20
_CPU_BLOCK = 3 * 2**19
_GPU_CHUNK = 640 * 2**20
_GPU_BLOCK = 160 * 2**20
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Plan:
    """What one sweep computes; all tensors are constants."""

    terms: tuple[PointwiseTerm, ...]
    head: Head
    weights: Tensor
    labels: Tensor | None
    teacher_hidden: Tensor | None
    teacher_head: Head | MixedHead | None
    teacher_topk: TopK | None
    numbers: Mapping[str, Tensor]  # [N] each
    wants: tuple[bool, ...]  # gradients in hidden states, weight, bias

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Of trainable hyperparameters, each once."""
        return list(dict.fromkeys(parameter for term in self.terms for parameter in term.parameters))

    def block(self, rows: Tensor, student_logits: Tensor, teacher_logits: Tensor | None) -> Block:
        """Signals of some rows."""
        topk = None if self.teacher_topk is None else self.teacher_topk.each(lambda part: part[rows])
        labels = None if self.labels is None else self.labels[rows]
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        return Block(student_logits, teacher_logits, topk, labels, numbers)


def sweep(hidden: Tensor, plan: Plan) -> tuple[Tensor, list[Tensor | None]]:
    """Values [K, N] (0 where the weight is 0) and the wanted gradients.

    Args:
        hidden: [N, H] of the student.
        plan: everything else.

    Returns:
        values in float32, and the gradients of sum(weights * values) in hidden states, weight and bias
        (None where unwanted), then in the parameters of trainable hyperparameters; all in float32.
    """
    return _Sweep(hidden, plan).run()


class _Sweep:
    """One pass over all rows that count: values [K, N] and the gradients that are wanted."""

    def __init__(self, hidden: Tensor, plan: Plan) -> None:
        self.hidden, self.plan = hidden, plan
        self.on_cpu = hidden.device.type == "cpu"
        vocabulary = plan.head.weight.shape[0]
        others = vocabulary if plan.teacher_head is None else plan.teacher_head.vocabulary
        row_bytes = 4 * max(vocabulary, others)
        self.dtype = product_dtype(hidden)
        self.used = plan.weights.ne(0)
        # Float16 would lose weights of one over a step's tokens: there they are scaled to 1.
        self.unit = plan.weights.abs().amax().clamp_min(_TINY) if self.dtype is torch.float16 else None
        self.weights = plan.weights if self.unit is None else plan.weights / self.unit
        self.rows = self.used.any(0).nonzero().squeeze(-1)
        lines = max(1, self.rows.numel())
        threads = torch.get_num_threads() if self.on_cpu else 1
        chunk = max(threads, (_CPU_CHUNK if self.on_cpu else _GPU_CHUNK) // row_bytes)
        # Chunks of equal height: a short last one reads the heads for little.
        self.chunk_rows = -(-lines // -(-lines // chunk))
        block = (_CPU_BLOCK if self.on_cpu else _GPU_BLOCK) // row_bytes
        self.block_rows = min(self.chunk_rows, max(threads, block // threads * threads))
        self.z = hidden.new_empty(self.chunk_rows, vocabulary, dtype=torch.float32)
        self.u = None if plan.teacher_hidden is None else self.z.new_empty(self.chunk_rows, others)
        self.scratch: dict[int, Tensor] = {}
        self.slopes = {p: torch.zeros_like(p, dtype=torch.float32) for p in plan.parameters}
        # A mixture needs the logits of one teacher beside the sum of those before it.
        self.v = torch.empty_like(self.z) if isinstance(plan.teacher_head, MixedHead) else None
        self.finite = all(_is_finite(head.bias) for head in (plan.head, *_heads(plan.teacher_head)))

    def run(self) -> tuple[Tensor, list[Tensor | None]]:
        """Values [K, N] (0 where the weight is 0) and gradients in hidden states, weight and bias."""
        plan, hidden = self.plan, self.hidden
        values = plan.weights.new_zeros(plan.weights.shape)
        d_hidden = torch.zeros_like(hidden, dtype=torch.float32) if plan.wants[0] else None
        d_weight = torch.empty_like(plan.head.weight, dtype=torch.float32) if plan.wants[1] else None
        d_bias = hidden.new_zeros(self.z.shape[1], dtype=torch.float32) if plan.wants[2] else None
        for start in range(0, self.rows.numel(), self.chunk_rows):
            rows = self.rows[start : start + self.chunk_rows]
            h = hidden.index_select(0, rows)
            z = self._project(h, plan.head, self.z)
            u = None
            if self.u is not None:
                assert plan.teacher_hidden is not None and plan.teacher_head is not None
                u = self._of_teacher(plan.teacher_hidden.index_select(0, rows), plan.teacher_head)
            factors = self._differentiate(z, u, rows, values)
            if any(plan.wants):
                self._collect(z, h.float() * factors, factors, rows, d_hidden, d_weight, d_bias, start == 0)
        if d_weight is not None and not self.rows.numel():
            d_weight.zero_()
        gradients = [d_hidden, d_weight, d_bias, *self.slopes.values()]
        if self.unit is not None:
            gradients = [None if gradient is None else gradient.mul_(self.unit) for gradient in gradients]
        return values, gradients

    def _differentiate(self, z: Tensor, u: Tensor | None, rows: Tensor, values: Tensor) -> Tensor:
        """Write values, put the gradient over z up to a factor per row, and return the factors [R, 1]."""
        plan = self.plan
        alone = len(plan.terms) == 1
        for start in range(0, rows.numel(), self.block_rows):
            part = slice(start, start + self.block_rows)
            block = plan.block(rows[part], z[part], None if u is None else u[part])
            slope = self._cap(block)
            if alone:
                values[0, rows[part]] = self._one_term(0, block, rows[part])
            else:
                self._add_terms(block, rows[part], values)
            if slope is not None:
                z[part].mul_(slope)
        factors = self.weights[0, rows] if alone else torch.ones_like(rows, dtype=torch.float32)
        return (factors * plan.head.scale).unsqueeze(-1)

    def _one_term(self, k: int, block: Block, rows: Tensor) -> Tensor:
        count = rows.numel()
        return value_and_gradient(
            self.plan.terms[k],
            block,
            lambda number: self._spare(number)[:count],
            finite=self.finite,
            slopes=Slopes(self.weights[k, rows], self.slopes),
        )

    def _add_terms(self, block: Block, rows: Tensor, values: Tensor) -> None:
        total = torch.zeros_like(block.student_logits)
        for k, term in enumerate(self.plan.terms):
            inside = self.used[k, rows].nonzero().squeeze(-1)
            if inside.numel():
                mine = block.at(inside, with_teacher=term.reads_teacher)
                values[k, rows[inside]] = self._one_term(k, mine, rows[inside])
                weights = self.weights[k, rows[inside]].unsqueeze(-1)
                total.index_add_(0, inside, mine.student_logits.mul_(weights))
        block.student_logits.copy_(total)

    def _cap(self, block: Block) -> Tensor | None:
        """Apply the softcaps; the student's slope, or None."""
        teacher = self.plan.teacher_head
        if block.teacher_logits is not None and isinstance(teacher, Head) and teacher.softcap is not None:
            block.teacher_logits.div_(teacher.softcap).tanh_().mul_(teacher.softcap)
        cap = self.plan.head.softcap
        if cap is None:
            return None
        z = block.student_logits
        slope = z.div_(cap).tanh_().square().neg_().add_(1)
        z.mul_(cap)
        return slope

    def _of_teacher(self, hidden: Tensor, head: Head | MixedHead) -> Tensor:
        """Logits of the teacher; before the softcap, if it is a single one."""
        assert self.u is not None
        if isinstance(head, Head):
            return self._project(hidden, head, self.u)
        assert self.v is not None
        out = self.u[: hidden.shape[0]]
        mix(hidden, head, out=out, spare=self.v, project=self._project)
        return out

    def _project(self, hidden: Tensor, head: Head, out: Tensor) -> Tensor:
        """Logits before the softcap, in float32."""
        return scores(hidden, head, out[: hidden.shape[0]], self.dtype)

    def _collect(
        self,
        dz: Tensor,
        h: Tensor,
        factors: Tensor,
        rows: Tensor,
        d_hidden: Tensor | None,
        d_weight: Tensor | None,
        d_bias: Tensor | None,
        first: bool,
    ) -> None:
        if d_hidden is not None:
            d_hidden[rows] = hidden_gradient(dz, self.plan.head.weight, self.dtype) * factors
        if d_weight is not None:
            weight_gradient(dz, h, d_weight, self.dtype, add=not first)
        if d_bias is not None:
            d_bias.addmv_(dz.T, factors.squeeze(-1))

    def _spare(self, number: int) -> Tensor:
        if number not in self.scratch:
            self.scratch[number] = self.z.new_empty(self.block_rows, self.z.shape[1])
        return self.scratch[number]


def _is_finite(bias: Tensor | None) -> bool:
    return bias is None or bool(bias.isfinite().all())


def _heads(head: Head | MixedHead | None) -> tuple[Head, ...]:
    if head is None:
        return ()
    return head.heads if isinstance(head, MixedHead) else (head,)
