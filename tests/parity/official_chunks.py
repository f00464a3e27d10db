"""Numbers printed by official code across tokenizers, with where they come from.

- bminixhofer/tokenkit @ bcacdef, tokenkit/training/losses.py, in JAX 0.10.2 on a CPU in float32: every
  chunk alone, as a batch of one row with one token that counts.
- songmzhang/DSKD @ 077337a, code/criterions/universal_logit_distillation.py, one position at a time.
"""

from typing import NamedTuple

import torch

from tests.parity.official import Official

STUDENT_CHUNKS = torch.tensor([-3.0, -0.4, -12.5, -2.0, -0.05])
TEACHER_CHUNKS = torch.tensor([-2.0, -1.7, -9.0, -2.0, -0.3])


class OfficialChunks(NamedTuple):
    """Our name and the temperature it needs, and what the official function gave for the five chunks."""

    distance: str
    temperature: float
    values: list[float]
    gradients: list[float]


BINARY_CE = [
    OfficialChunks(
        "binary_kl",
        1.0,
        [0.4501632, 0.9799933, 0.001546347, 0.3964042, 0.8199306],
        [-0.09003048, 1.479116, -0.0001196835, 0.0, 4.314219],
    ),
    OfficialChunks(
        "binary_kl",
        5.0,
        [0.664575, 0.796383, 0.4847395, 0.6339523, 0.2778923],
        [-0.05386138, 0.5497743, -0.01813105, 0.0, 0.970445],
    ),
    OfficialChunks(
        "binary_kl",
        100.0,
        [0.09914048, 0.09703996, 0.2985418, 0.09726873, 0.02327038],
        [-0.003299944, 0.03221705, -0.002675165, 0.0, 0.04982539],
    ),
]
"""compute_alm_loss with alm_diff_fn "binary_ce", a cross-entropy."""

ALM = [
    OfficialChunks(
        "reverse_binary_kl",
        1.0,
        [0.03986003, 0.5720974, 0.0001066469, 0.0, 0.1563399],
        [-0.05448414, 1.48, -1.304372e-05, 0.0, 1.826726],
    ),
    OfficialChunks(
        "reverse_binary_kl",
        100.0,
        [0.002131598, 0.007197207, 0.005693344, 0.0, 0.001602761],
        [-0.003983377, 0.01447437, -0.003056213, 0.0, 0.01790448],
    ),
    OfficialChunks(
        "total_variation",
        1.0,
        [0.08554813, 0.487636, 0.000119683, 0.0, 0.2104111],
        [-0.04978702, 0.6703194, -3.72665e-06, -0.1353351, 0.9512285],
    ),
    OfficialChunks(
        "total_variation",
        100.0,
        [0.009753108, 0.01286429, 0.0314343, 0.0, 0.002495646],
        [-0.009704445, 0.009960069, -0.00882496, -0.009801976, 0.009994991],
    ),
    OfficialChunks("log_ratio", 1.0, [1.0, 1.3, 3.5, 0.0, 0.25], [-1.0, 1.0, -1.0, -1.0, 1.0]),
    OfficialChunks(
        "limit",
        100.0,
        [0.18907, 1.15976, 0.5434628, 0.0, 0.2875247],
        [-0.3333333, 3.249992, -0.28, 0.0, 4.999901],
    ),
]
"""The same with "reverse_binary_kl", "abs_exp", "abs" (which knows no temperature) and
"binary_kl_temp_limit". JAX gives |x| a slope of 1 at 0, where the fourth chunk is."""

STUDENT_STATES = torch.tensor(
    [[[0.5, -1.0], [2.0, 0.3]], [[-0.2, 0.8], [1.1, -0.6]], [[1.3, 0.1], [-0.7, 0.4]]]
)
"""Three chunks, two layers, two channels."""

TEACHER_STATES = torch.tensor(
    [[[1.0, -0.5], [1.5, 0.2]], [[0.4, 1.2], [0.3, -0.9]], [[0.9, -0.3], [-1.2, 0.8]]]
)

STATES = [
    (
        "channel",
        0.2967929,
        [
            [[-0.126904, -0.140449], [0.066138, 0.033557]],
            [[-0.152284, -0.112360], [0.105820, 0.100671]],
            [[0.101523, 0.112360], [0.066138, -0.134228]],
        ],
    ),
    (
        "layer",
        0.3114940,
        [
            [[-0.133333, -0.133333], [0.094877, 0.018975]],
            [[-0.160000, -0.106667], [0.151803, 0.056926]],
            [[0.106667, 0.106667], [0.094877, -0.075901]],
        ],
    ),
]
"""compute_alm_latents_loss at "l2_channelwise" and "l2", mean of its value for each layer alone."""

WIDER_TEACHER = torch.tensor(
    [
        [1.1, -0.3, 0.6, 2.2, -1.5, 0.9, -0.8],
        [-0.7, 1.9, 0.2, 0.5, -0.9, -1.1, 1.4],
        [0.4, 0.3, -1.0, 1.3, 0.9, -0.2, 2.5],
    ]
)
"""Logits over seven words, for the five of `official.STUDENT`."""

ULD_WIDER = Official(
    [0.246627, 0.177028, 0.492447],
    [
        [-0.184676, -0.041207, 0.249574, 0.068017, -0.091707],
        [0.07917, 0.019523, -0.116212, 0.043449, -0.02593],
        [0.087492, 0.237827, 0.15942, -0.027787, -0.456952],
    ],
)
"""compute_universal_logit_distillation_loss."""

ULD_NARROWER = Official(
    [0.087702, 0.302004, 0.294979],
    [
        [-0.164206, 0.014741, 0.361626, -0.244967, 0.032806],
        [-0.499603, 0.130345, 0.064727, 0.290088, 0.014443],
        [0.123433, 0.335525, -0.161426, 0.027542, -0.325073],
    ],
)
"""The same for the first four words of `official.TEACHER`."""
