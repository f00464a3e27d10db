"""Numbers printed by official code on fixed inputs, with where they come from.

Every loss was called on one position at a time (a batch of one row with one token that counts), in
float32 on a CPU, so that no convention of masking or averaging enters; values and gradients are
rounded to six decimals. Repositories are at these commits:

- jongwooko/distillm @ d47e77f
- jongwooko/distillm-2 @ fe4cf9b
- wutaiqiang/LLM_KD_AKL @ ff278be
- songmzhang/DSKD @ 0773379
- SakanaAI/TAID @ a062892
- huggingface/trl 1.16.0
- microsoft/LMOps @ 4f2a9de
- Sayan21/MAKD @ 2f9b78d
- lancopku/DynamicKD @ 261162d
- Tim-Siu/reinforcement-distillation @ dda07d2
- princeton-nlp/LESS @ 8abf962
- tianyi-lab/Cherry_LLM @ 01fac8d
"""

from typing import NamedTuple

import torch

STUDENT = torch.tensor(
    [[0.3, -1.2, 2.0, 0.7, -0.4], [1.5, 0.1, -0.6, 0.9, -2.1], [-0.2, 0.8, 0.4, -1.7, 1.1]]
)
"""Student logits, [3, 5]."""

TEACHER = torch.tensor([[1.1, -0.3, 0.6, 2.2, -1.5], [-0.7, 1.9, 0.2, 0.5, -0.9], [0.4, 0.3, -1.0, 1.3, 0.9]])
"""Teacher logits, [3, 5]."""

LABELS = torch.tensor([2, 0, 4])


class Official(NamedTuple):
    """What a function returned for the three positions, and its gradient in the student's logits."""

    values: list[float]
    gradients: list[list[float]]


FORWARD_KL = Official(
    [1.794451, 2.040045, 2.322997],
    [
        [-0.087641, -0.024314, 0.507251, -0.43741, 0.042113],
        [0.466611, -0.512465, -0.053825, 0.124504, -0.024825],
        [-0.053738, 0.143624, 0.153774, -0.369268, 0.125608],
    ],
)
"""distillm, distillm/losses.py:forward_kl; the same text as LMOps, minillm/finetune.py:get_distil_loss."""

DSKD_FORWARD_KL = Official([0.698224, 0.94107, 0.904571], FORWARD_KL.gradients)
"""DSKD, code/criterions/various_divergence.py:compute_forward_kl_divergence; also trl, beta = 0."""

DSKD_FORWARD_KL_AT_2 = Official(
    [0.179822, 0.254843, 0.252221],
    [
        [-0.029654, -0.016836, 0.112913, -0.095998, 0.029575],
        [0.125869, -0.114454, -0.023909, 0.032936, -0.020442],
        [-0.016047, 0.039343, 0.058835, -0.110968, 0.028837],
    ],
)
"""The same function at temperature 2."""

REVERSE_KL = Official(
    [0.806362, 1.130561, 0.547694],
    [
        [-0.158006, -0.037825, 0.521613, -0.35595, 0.030167],
        [0.643413, -0.348427, -0.11007, -0.154736, -0.030179],
        [-0.101533, 0.040993, 0.20133, -0.079426, -0.061363],
    ],
)
"""distillm, distillm/losses.py:reverse_kl; DSKD, trl (beta = 1) and LMOps' single-step term
(minillm/minillm/utils.py:get_x_entropy minus get_entropy) gave the same numbers."""

JS_09 = Official(
    [0.061979, 0.082022, 0.069079],
    [
        [-0.008381, -0.002265, 0.043329, -0.036233, 0.00355],
        [0.038861, -0.040008, -0.005281, 0.008626, -0.002198],
        [-0.006248, 0.0091, 0.011634, -0.020362, 0.005877],
    ],
)
"""distillm, distillm/losses.py:js_distance with lam = 0.9, the weight of the student. Equal to
TAID, src/distil_losses/js.py:JS.forward with teacher_weight = 0.1, and to trl's
experimental/gkd/gkd_trainer.py:generalized_jsd_loss with beta = 0.1."""

TRL_05 = Official(
    [0.173018, 0.222961, 0.14763],
    [
        [-0.027928, -0.007066, 0.111005, -0.084494, 0.008482],
        [0.101537, -0.083381, -0.017807, 0.005571, -0.005921],
        [-0.021183, 0.016265, 0.032242, -0.027783, 0.000459],
    ],
)
"""trl, experimental/gkd/gkd_trainer.py:generalized_jsd_loss, beta = 0.5; also DSKD's js_divergence."""

TRL_05_AT_2 = Official(
    [0.045726, 0.064772, 0.053137],
    [
        [-0.008768, -0.004737, 0.028556, -0.022156, 0.007105],
        [0.033044, -0.024933, -0.007433, 0.004643, -0.005322],
        [-0.006125, 0.00687, 0.014126, -0.018034, 0.003163],
    ],
)
"""The same function at temperature 2."""

DISTILLM2_GKD = Official(
    [0.068973, 0.092481, 0.049227],
    [
        [-0.012845, -0.003108, 0.043795, -0.030664, 0.002822],
        [0.0476, -0.029234, -0.008451, -0.007494, -0.002421],
        [-0.008697, 0.004341, 0.015759, -0.007465, -0.003937],
    ],
)
"""distillm-2, src/distillm_trainer.py:get_batch_logps with loss_type "gkd": 0.9 on the teacher; also
trl with beta = 0.9."""

SKEW_FORWARD_KL = Official(
    [1.648325, 1.818753, 1.964884],
    [
        [-0.079474, -0.021005, 0.372901, -0.302538, 0.030117],
        [0.329146, -0.316942, -0.050761, 0.058011, -0.019453],
        [-0.063127, 0.063452, 0.095791, -0.121631, 0.025515],
    ],
)
"""distillm, distillm/losses.py:skewed_forward_kl, lam = 0.1."""

DISTILLM2_SKEW_FORWARD_KL = Official([0.552098, 0.719777, 0.546458], SKEW_FORWARD_KL.gradients)
"""distillm-2, src/distillm_trainer.py:get_batch_logps, third output; also DSKD, skew_lambda = 0.1."""

SKEW_REVERSE_KL = Official(
    [0.5938, 0.77171, 0.444576],
    [
        [-0.105452, -0.025816, 0.372559, -0.267364, 0.026073],
        [0.367158, -0.252685, -0.067017, -0.0274, -0.020056],
        [-0.07489, 0.043789, 0.124746, -0.070489, -0.023156],
    ],
)
"""distillm, distillm/losses.py:skewed_reverse_kl, lam = 0.1; also DSKD."""

DISTILLM2_SKEW_REVERSE_KL = Official(
    [0.593799, 0.77171, 0.444576],
    [
        [-0.128446, -0.031084, 0.437947, -0.306641, 0.028223],
        [0.475999, -0.292341, -0.084509, -0.074938, -0.024211],
        [-0.086974, 0.043411, 0.157589, -0.074653, -0.039373],
    ],
)
"""distillm-2, src/distillm_trainer.py:get_batch_logps, fourth output: the student inside the
mixture is detached, so the values are DistiLLM's and the gradients are not."""

TOTAL_VARIATION = Official(
    [0.549365, 0.591114, 0.423006],
    [
        [-0.079145, -0.01766, 0.197004, -0.118071, 0.017872],
        [0.104758, -0.10094, -0.050125, 0.057492, -0.011184],
        [-0.092266, 0.037367, 0.025048, -0.020587, 0.05044],
    ],
)
"""distillm, distillm/losses.py:tv_distance."""

ADAPTIVE_KL = Official(
    [0.763312, 1.048422, 0.75645],
    [
        [-0.129993, -0.032446, 0.515896, -0.388379, 0.034923],
        [0.566774, -0.419533, -0.085689, -0.033693, -0.027858],
        [-0.073575, 0.101027, 0.173512, -0.24897, 0.048006],
    ],
)
"""DSKD, code/criterions/various_divergence.py:compute_adaptive_kl_divergence, adaptive_kl_alpha = 0.5."""

ADAPTIVE_KL_AT_2 = Official(
    [0.187559, 0.270961, 0.227894],
    [
        [-0.036779, -0.019771, 0.119704, -0.092105, 0.02895],
        [0.145617, -0.106493, -0.031678, 0.014982, -0.022427],
        [-0.022369, 0.031254, 0.061625, -0.087421, 0.016911],
    ],
)
"""The same function at temperature 2."""

ADAPTIVE_KL_RELEASED = Official(
    [0.763312, 1.048422, 0.703464],
    [
        [-0.129993, -0.032446, 0.515896, -0.388379, 0.034923],
        [0.566774, -0.419533, -0.085689, -0.033693, -0.027858],
        [-0.080672, 0.08579, 0.180572, -0.205937, 0.020247],
    ],
)
"""LLM_KD_AKL, AKL.py:get_ratio and get_kl, mu = 0.5. Only the third position tells the two rules of
the head apart: in the first two the likeliest outcome alone holds mass mu."""

TAID_04 = Official(
    [1.43673, 1.603623, 1.5354],
    [
        [-0.060032, -0.01499, 0.232525, -0.173997, 0.016494],
        [0.255151, -0.189495, -0.042323, -0.009814, -0.013519],
        [-0.040688, 0.031348, 0.07306, -0.061835, -0.001885],
    ],
)
"""TAID, src/distil_losses/taid.py:TAID.compute_loss at t = 0.4."""

TAID_09 = Official(
    [1.757595, 1.995569, 2.142999],
    [
        [-0.089331, -0.024229, 0.475709, -0.40096, 0.03881],
        [0.448313, -0.466858, -0.056898, 0.099728, -0.024284],
        [-0.059768, 0.120726, 0.143236, -0.297096, 0.092902],
    ],
)
"""The same function at t = 0.9."""

DECOUPLED_KD = Official(
    [0.637291, 0.744844, 0.625251],
    [
        [-0.117864, -0.029012, 0.507251, -0.350668, -0.009708],
        [0.46661, -0.326839, -0.056974, -0.063358, -0.01944],
        [-0.043477, 0.07846, 0.091623, -0.252214, 0.125608],
    ],
)
"""TAID, src/distil_losses/dkd.py:dkd_loss, alpha = 1, beta = 0.5."""

DECOUPLED_KD_AT_2 = Official(
    [0.622262, 0.860999, 0.676949],
    [
        [-0.124169, -0.065568, 0.451651, -0.297804, 0.035889],
        [0.503475, -0.320019, -0.097773, -0.018903, -0.066779],
        [-0.05113, 0.089374, 0.143444, -0.297038, 0.115349],
    ],
)
"""The same function at temperature 2; it multiplies by 4."""

CORRECTED_MSE = Official(
    [0.853304, 3.174533, 0.785081],
    [
        [0.016222, 0.002, -0.28193, -0.121834, 0.012651],
        [-0.339228, -0.204556, 0.009342, 0.088275, -0.00311],
        [0.02556, 0.086729, 0.037818, -0.314338, -0.273576],
    ],
)
"""MAKD, Bert_KD.ipynb:KDMSEVarRedOrthoLoss, alpha = 1 (the distillation part alone)."""

CORRECTED_MSE_SMOOTHED = Official(
    [0.780647, 2.177803, 0.807672],
    [
        [0.0162, 0.0026, -0.274537, -0.113651, 0.028186],
        [-0.319705, -0.1905, 0.010008, 0.090648, -0.004399],
        [0.026204, 0.090056, 0.053236, -0.298905, -0.276618],
    ],
)
"""The same class with smoothing = 0.1."""

LOGIT_MSE = Official(
    [1.374, 2.064, 2.322],
    [
        [-0.32, -0.36, 0.56, -0.6, 0.44],
        [0.88, -0.72, -0.32, 0.16, -0.48],
        [-0.24, 0.2, 0.56, -1.2, 0.08],
    ],
)
"""MAKD, Bert_KD.ipynb:KDMSELoss, alpha = 1."""

README_UNCERTAINTY = [0.683525562286377, 0.7424265742301941, 0.8511726260185242]
"""DynamicKD, README.md:dynamic_kd_loss, `instance_weight` of STUDENT. It has 1e-6 in its logarithm."""

FIVE_STUDENTS = torch.tensor([[10.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [-0.5, 0.0]])
"""Scores of five examples over two classes."""

LEAST_SURE = [1, 4, 2]
"""DynamicKD, models/student.py:get_sorted_indices of FIVE_STUDENTS, selection_ratio 0.6: equal for the
strategies entropy, margin and confidence."""

SUREST = [0, 3, 2]
"""The same function, entropy-r and confidence-r."""

# Two pairs of answers: summed log-probabilities and lengths.
CHOSEN, CHOSEN_LENGTHS = [-30.0, -12.0], [20, 6]
REJECTED, REJECTED_LENGTHS = [-45.0, -8.0], [25, 16]

REDI = {0.8: [0.06, 1.6], 1.0: [-0.3, 1.5]}
"""reinforcement-distillation, trl/trl/trainer/dpo2_trainer.py:dpo_loss with loss_type "reinforce",
reinforce_chosen_coef = 1; by reinforce_rejected_coef."""

REDI_SLOPES = ([-0.025, -0.0833333], [0.016, 0.025])
"""Slopes of the mean over the two pairs, in each summed log-probability, for 0.8."""

REFERENCE = ([-33.0, -11.0], [-40.0, -9.5])
"""Summed log-probabilities of chosen and rejected answers under a reference."""

DPO = ([0.371101, 0.825939], [-0.0310026, -0.0562176])
"""The same function with loss_type "sigmoid", beta = 0.1: values, and slopes in the chosen sums."""

SIMPO = ([0.913015, 4.01815], [-1.1973754, -1.9640275])
"""trl, experimental/cpo/cpo_trainer.py:cpo_loss with loss_type "simpo", beta = 2, simpo_gamma = 1, of the
mean log-probabilities: values, and slopes in the chosen means."""

LOSSES = [2.0, 1.5, 1.4, 1.45, 1.3]
"""Losses of consecutive steps, from step 0 on."""

TAID_TRACES = {
    (100, 5e-4, 0.99): [0.4, 0.406, 0.412, 0.418, 0.424],
    (100_000, 5e-4, 0.99): [0.4, 0.40015, 0.4003, 0.400451, 0.400601],
    (100_000, 0.2, 0.5): [0.4, 0.463745, 0.519938, 0.568666, 0.613238],
}
"""TAID, src/distil_losses/taid.py:TAID.update_t: t after each of LOSSES, from 0.4 to 1; by
(num_train_steps, alpha, beta). In the first the line decides alone."""

VALIDATION_LOSSES = [1.0, 1.05, 1.2, 1.1, 1.31]
DISTILLM_SHARES = [0.0, 0.0, 0.1, 0.1, 0.2]
"""distillm, finetune.py (adaptive_threshold), loss_eps = 0.1: the share after each of VALIDATION_LOSSES,
the first of which is the one before training."""

REWARDS = torch.tensor([[-1.2, 0.4, -0.5, 0.3], [-0.6, 0.2, 0.0, 0.0]])
SAMPLED = torch.tensor([[True, True, True, True], [True, True, False, False]])
ADVANTAGES = [[-0.25350940, 0.06525000, -0.10750000, 0.30000001], [-0.20500001, 0.20000000, 0.0, 0.0]]
"""LMOps, minillm/minillm/losses.py:Loss._get_advantages_and_returns of REWARDS, gamma = 0.95, without
whitening."""

WHOLE_REWARDS = torch.tensor([[-1.2, 0.4, -0.5, 0.3], [-0.6, 0.2, 0.9, -0.1]])
WHITENED = [[-1.450147, -0.098311, -0.830931, 0.897247], [-0.039455, 0.98878, 1.331941, -0.799124]]
"""The same function of WHOLE_REWARDS, all tokens sampled, with whitening. It runs in one process, where
the code takes the deviation of 7 degrees of freedom; in several processes it divides by 8."""

NEW_LOG_PROBS = torch.tensor([[-1.0, -0.5, -2.0, -0.3], [-0.7, -1.1, 0.0, 0.0]])
OLD_LOG_PROBS = torch.tensor([[-1.4, -0.4, -2.1, -0.9], [-0.6, -1.5, 0.0, 0.0]])
IMPORTANCE = torch.tensor([[1.0, 0.8, 1.1, 0.9], [1.2, 1.0, 1.0, 1.0]])
POLICY_LOSS = 0.0140392529
POLICY_SLOPES = [[0.06303193, -0.00787209, 0.02178108, 0.0], [0.03709834, 0.0, 0.0, 0.0]]
"""LMOps, minillm/minillm/losses.py:Loss._pg_loss with ADVANTAGES, cliprange = 0.2: the mean over tokens and
its slopes in NEW_LOG_PROBS."""

TEACHER_REWARDS = [-2.095657, -3.047480, -1.334142]
"""LMOps, minillm/minillm/reward.py:Reward.reward_fn of a teacher that answers TEACHER at three positions
and is asked for LABELS."""

LESS_ADAM = {
    "gradient": [1e-6, -2e-4, 0.03, -1.5, 0.0, 4e-5],
    "first": [0.0, 1e-4, -0.01, 0.2, 3e-5, -2e-5],
    "second": [0.0, 4e-8, 1e-3, 2.0, 1e-9, 1e-9],
    "direction": [0.001, 0.313049, -0.189745, 0.021212, 0.257447, -0.133481],
}
"""LESS, less/data_selection/collect_grad_reps.py:obtain_gradients_with_adam, of a loss with this
gradient."""

LESS_TRAIN = [
    [[4, 2, 0], [-3, -2, -5], [-5, -5, -4], [3, 2, 5]],
    [[0, 1, 5], [3, 1, 0], [1, 5, -2], [4, 3, -4]],
]
LESS_VALID = [
    [[-1, 4, 1], [-5, 3, 3], [4, -4, -5], [4, -5, 0], [-5, -2, 0], [-1, -1, -5]],
    [[-5, -4, -5], [2, 0, 2], [-3, 1, 3], [-1, 0, 5], [3, 5, -1], [2, 5, 2]],
]
"""Gradients at two checkpoints, of rows and of two subtasks with three shots each; unit vectors when used."""

LESS_INFLUENCE = [0.052022, 0.461884, 0.506946, -0.062032]
"""LESS, less/data_selection/matching.py: calculate_influence_score, weights 3e-5 and 1e-5, then its
reshape, mean and max."""

IFD_ROWS = [
    ("say what the cat did", "the cat sat on the mat"),
    ("one and two", "are three"),
    ("a film of", "great warmth and little sense"),
]
IFD = [0.994979, 0.988923, 0.934574]
"""Cherry_LLM, cherry_seletion/data_analysis.py:get_perplexity_and_embedding_part_text and
data_by_IFD.py:get_loss_part_text with `--prompt wiz`, of `tests.tiny.tiny_llama(seed=5)` and
`tiny_tokenizer()`."""
