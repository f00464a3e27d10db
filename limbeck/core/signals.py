"""The closed vocabulary of signals: what an objective may name as a positional argument.

The engine reads an objective's signature and asks student and teacher for exactly the
signals it names. Letters: B rows, T positions, V vocabulary, C classes, M matched layers,
D width, K top-k, V' another vocabulary,
N chunks of text that both tokenizers bound, E experts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

SIGNALS: Mapping[str, str] = {
    "student_logits": "[..., V] scores of the student over the shared vocabulary, or [B, C] over classes",
    "teacher_logits": "[..., V] scores of the teacher over the shared vocabulary, or [B, C] over classes",
    "teacher_topk": "TopK: the teacher's K likeliest ids, their log-probabilities, the log mass of the rest, "
    "maybe ids drawn from the rest",
    "labels": "[...] the id each position must predict; never the ignored value",
    "advantages": "[...] how much better than expected the sampled token is; a constant",
    "sampled_log_probs": "[...] log-probability of the label under the policy that wrote it; a constant",
    "student_states": "[B, M, T, D] hidden states of the student after its matched layers",
    "teacher_states": "[B, M, T, D] hidden states of the teacher after its matched layers",
    "student_qkv": "QKV: queries, keys and values of one attention layer of the student, each [B, T, D]",
    "teacher_qkv": "QKV: queries, keys and values of one attention layer of the teacher, each [B, T, D]",
    "spans": "[B, T] number of the phrase that each target belongs to, below 0 outside of phrases",
    "attention_mask": "[B, T] 1 at tokens, 0 at padding",
    "teacher_own_logits": "[..., V'] scores of a teacher over a vocabulary of its own",
    "student_chunks": "[N] log-likelihood that the student gives each chunk of text",
    "teacher_chunks": "[N] log-likelihood that the teacher gives each chunk of text",
    "student_chunk_states": "[N, M, D] states of the student at the last token of each chunk, matched layers",
    "teacher_chunk_states": "[N, M, D] states of the teacher at the last token of each chunk, matched layers",
    "student_space": "Space: what the student's head reads and writes, on its own tokens",
    "teacher_space": "Space: what the teacher's head reads and writes, on its own tokens",
    "student_routing": "Routing: the experts that the student's routers choose for each token",
    "routed_shares": "[E] how often each expert is chosen for a token of the optimizer step; a constant",
}
"""Name of a signal -> what it is."""

BATCH_SIGNALS = ("advantages", "sampled_log_probs")
"""Signals that come with the batch: one number for each target, put there when it was prepared."""

ANSWERED = ("unaligned", "aligned")
"""Groups of targets at a teacher with another tokenizer: whether one of its positions answers them."""

POINTWISE = frozenset(
    {"student_logits", "teacher_logits", "teacher_topk", "teacher_own_logits", "labels", *BATCH_SIGNALS}
)
"""Signals with one entry a position: an objective of only these can be computed a row at a time (fused)."""


class TopK(NamedTuple):
    """The stored form of a teacher distribution: K outcomes and a bucket for all others.

    Attributes:
        ids: [..., K] token ids, all different within a position; -1 at the places that a position
            with fewer than K ids leaves empty.
        log_probs: [..., K] natural log-probabilities under the teacher at temperature 1; -inf at empty
            places.
        log_tail: [...] natural log of the probability outside `ids`; -inf when there is none.
        drawn_ids: [..., S] ids drawn from outside `ids`, each in proportion to its probability, all
            different; each stands for an equal share of the tail. -1 at empty places; a position may
            have none. None: nothing was drawn anywhere.
        drawn_log_probs: [..., S] their natural log-probabilities; -inf at empty places.
    """

    ids: "Tensor"
    log_probs: "Tensor"
    log_tail: "Tensor"
    drawn_ids: "Tensor | None" = None
    drawn_log_probs: "Tensor | None" = None

    def each(self, change: "Callable[[Tensor], Tensor]") -> "TopK":
        """With every tensor changed alike: some of the rows, or another device."""
        ids, log_probs, log_tail = (change(part) for part in self[:3])
        if self.drawn_ids is None or self.drawn_log_probs is None:
            return TopK(ids, log_probs, log_tail)
        return TopK(ids, log_probs, log_tail, change(self.drawn_ids), change(self.drawn_log_probs))


class QKV(NamedTuple):
    """Queries, keys and values of one attention layer before the split into heads, each [B, T, D]."""

    queries: "Tensor"
    keys: "Tensor"
    values: "Tensor"


class Routing(NamedTuple):
    """What the routers of a mixture of experts say of each token.

    Attributes:
        logits: [B, T, M, E] of the M layers that have a router.
        chosen: [B, T, M, K] the experts that each of them sends the token to.
    """

    logits: "Tensor"
    chosen: "Tensor"


class Chunks(NamedTuple):
    """What a teacher with another tokenizer says of chunks of text, and where the student reads them.

    A chunk is counted where both sides end a token at the same byte. Merged chunks are runs of chunks
    that end where the teacher expects a word to end. Places are in the student's flattened [B, T].

    Attributes:
        log_probs: [N] natural log-likelihood of each merged chunk, at most 0.
        members: [B, T] number of the merged chunk that each target belongs to; -1 outside.
        ends: [N] place of the output behind each merged chunk's last target, whose mass on `starts` is a
            factor of the chunk's likelihood; -1 where it is not.
        starts: [V] True at the ids of the student that begin a word.
        lasts: [E] place of the last token of each chunk before merging.
        states: layer -> [E, D] states of the teacher at the last token of each chunk before merging.
    """

    log_probs: "Tensor"
    members: "Tensor"
    ends: "Tensor"
    starts: "Tensor"
    lasts: "Tensor"
    states: "Mapping[int, Tensor]"


class Space(NamedTuple):
    """What a model's head reads and writes, on the tokens of that model.

    Attributes:
        hidden: [B, T, H] what the head reads.
        inputs: [B, T, D] embeddings of the tokens that were read.
        outputs: [B, T, D] embeddings of the tokens to predict; zeros where nothing is learnt.
        labels: [B, T] ids to predict; `core.masks.IGNORE` where nothing is learnt.
        head: from hidden states to scores.
    """

    hidden: "Tensor"
    inputs: "Tensor"
    outputs: "Tensor"
    labels: "Tensor"
    head: "Head"


@dataclass(frozen=True)
class Head:
    """A linear vocabulary head: logits = cap(scale * (hidden @ weight.T + bias)).

    Attributes:
        weight: [V, H]; rows beyond the shared vocabulary are already cut off.
        bias: [V] or None.
        scale: factor on the projected values (Cohere's logit scale, Granite's 1 / logits_scaling).
        softcap: c of cap(x) = c * tanh(x / c) (Gemma), or None.
    """

    weight: "Tensor"
    bias: "Tensor | None" = None
    scale: float = 1.0
    softcap: float | None = None

    @property
    def width(self) -> int:
        """Columns of the hidden states it reads."""
        return int(self.weight.shape[1])

    @property
    def vocabulary(self) -> int:
        """Ids it scores."""
        return int(self.weight.shape[0])


@dataclass(frozen=True)
class MixedHead:
    """The heads of several teachers, mixed where the vocabulary is projected.

    It reads their hidden states side by side, and behind them one column a head: 1 where that
    teacher answers, 0 where it does not. The weights are normalised over those that answer.

    Attributes:
        heads: over the same vocabulary.
        weights: of the heads, above 0.
        temperatures: that divide their logits.
        mean: of the probabilities, log sum_i w_i softmax(z_i / T_i); or of the logits, sum_i w_i z_i / T_i.
    """

    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    temperatures: tuple[float, ...]
    mean: Literal["probabilities", "logits"]

    @property
    def width(self) -> int:
        """Columns of what it reads, those that say who answers among them."""
        return sum(head.width for head in self.heads) + len(self.heads)

    @property
    def vocabulary(self) -> int:
        """Ids it scores."""
        return self.heads[0].vocabulary
