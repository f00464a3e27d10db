"""Objectives: pure functions of signals, unreduced. This file is the list.

`[..., V]` logits give one value a position, states and relations one value a row. A signal
named `teacher_*` is always a constant; `teacher_logits` may be a `core.signals.TopK`.
`objectives.fused` computes the ones over logits straight from hidden states and heads.
"""

from limbeck.objectives.adaptive_kl import adaptive_kl
from limbeck.objectives.alm import alm
from limbeck.objectives.alpha_divergence import alpha_divergence
from limbeck.objectives.chunk_state_mse import chunk_state_mse
from limbeck.objectives.clipped_kl import clipped_kl
from limbeck.objectives.corrected_mse import corrected_mse
from limbeck.objectives.cross_entropy import cross_entropy
from limbeck.objectives.decoupled_kd import decoupled_kd
from limbeck.objectives.dual_space import dual_space
from limbeck.objectives.forward_kl import forward_kl
from limbeck.objectives.jsd import jsd
from limbeck.objectives.logit_mse import logit_mse
from limbeck.objectives.patient import patient
from limbeck.objectives.policy_gradient import policy_gradient
from limbeck.objectives.preference import dpo, ipo, simpo
from limbeck.objectives.relation_kl import relation_kl
from limbeck.objectives.reverse_kl import reverse_kl
from limbeck.objectives.skew_forward_kl import skew_forward_kl
from limbeck.objectives.skew_reverse_kl import skew_reverse_kl
from limbeck.objectives.span_relation import span_relation
from limbeck.objectives.state_mse import state_mse
from limbeck.objectives.taid import taid
from limbeck.objectives.total_variation import total_variation
from limbeck.objectives.uld import uld

__all__ = [
    "adaptive_kl",
    "alm",
    "alpha_divergence",
    "chunk_state_mse",
    "clipped_kl",
    "corrected_mse",
    "cross_entropy",
    "decoupled_kd",
    "dpo",
    "dual_space",
    "forward_kl",
    "ipo",
    "jsd",
    "logit_mse",
    "patient",
    "policy_gradient",
    "relation_kl",
    "reverse_kl",
    "simpo",
    "skew_forward_kl",
    "skew_reverse_kl",
    "span_relation",
    "state_mse",
    "taid",
    "total_variation",
    "uld",
]
