"""Divergences against numbers printed by the official code of their papers."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from limbeck.objectives import (
    adaptive_kl,
    decoupled_kd,
    forward_kl,
    jsd,
    reverse_kl,
    skew_forward_kl,
    skew_reverse_kl,
    taid,
    total_variation,
)
from tests.objectives.worked import value_and_gradient
from tests.parity import official
from tests.parity.official import LABELS, STUDENT, TEACHER

ATOL = 3e-6  # six printed decimals of float32 sums


def agree(objective, expected: official.Official, *labels: Tensor, entropy: Tensor | float = 0.0, **options):
    """Values agree after `entropy` is added to ours; gradients as they are."""
    values, gradients = value_and_gradient(objective, STUDENT, TEACHER, *labels, **options)
    torch.testing.assert_close(values + entropy, torch.tensor(expected.values), atol=ATOL, rtol=0)
    torch.testing.assert_close(gradients, torch.tensor(expected.gradients), atol=ATOL, rtol=0)


def teacher_entropy() -> Tensor:
    return Categorical(logits=TEACHER).entropy()


def test_forward_kl_is_distillms_and_minillms_loss_without_the_teachers_entropy():
    agree(forward_kl, official.FORWARD_KL, entropy=teacher_entropy())


def test_forward_kl_is_dskds():
    agree(forward_kl, official.DSKD_FORWARD_KL)
    agree(forward_kl, official.DSKD_FORWARD_KL_AT_2, temperature=2.0)


def test_reverse_kl_is_distillms_and_minillms_single_step():
    agree(reverse_kl, official.REVERSE_KL)


def test_jsd_weighs_the_teacher_with_beta_which_distillm_calls_one_minus_lam():
    agree(jsd, official.JS_09, beta=0.1)


def test_jsd_is_trls():
    agree(jsd, official.TRL_05, beta=0.5)
    agree(jsd, official.TRL_05_AT_2, beta=0.5, temperature=2.0)


def test_jsd_is_distillm_2s_gkd_with_beta_09():
    agree(jsd, official.DISTILLM2_GKD, beta=0.9)


def test_skew_forward_kl_is_distillms_without_the_teachers_entropy():
    agree(skew_forward_kl, official.SKEW_FORWARD_KL, entropy=teacher_entropy(), alpha=0.1)
    agree(skew_forward_kl, official.DISTILLM2_SKEW_FORWARD_KL, alpha=0.1)


def test_skew_reverse_kl_is_distillms_and_as_released_distillm_2s():
    agree(skew_reverse_kl, official.SKEW_REVERSE_KL, alpha=0.1)
    agree(skew_reverse_kl, official.DISTILLM2_SKEW_REVERSE_KL, alpha=0.1, compat="released")


def test_total_variation_is_distillms():
    agree(total_variation, official.TOTAL_VARIATION)


def test_adaptive_kl_is_dskds_by_the_paper_and_akl_py_as_released():
    agree(adaptive_kl, official.ADAPTIVE_KL)
    agree(adaptive_kl, official.ADAPTIVE_KL_AT_2, temperature=2.0)
    agree(adaptive_kl, official.ADAPTIVE_KL_RELEASED, compat="released")


@pytest.mark.parametrize(("t", "expected"), [(0.4, official.TAID_04), (0.9, official.TAID_09)])
def test_taid_is_the_official_loss_without_the_targets_entropy(t, expected):
    entropy = Categorical(logits=(1 - t) * STUDENT + t * TEACHER).entropy()
    agree(taid, expected, entropy=entropy, t=t)
    agree(taid, expected, t=t, compat="released")


def test_decoupled_kd_is_taids_port():
    agree(decoupled_kd, official.DECOUPLED_KD, LABELS, alpha=1.0, beta=0.5)
    agree(
        decoupled_kd,
        official.DECOUPLED_KD_AT_2,
        LABELS,
        alpha=1.0,
        beta=0.5,
        temperature=2.0,
        temperature_squared=True,
    )
