"""When distilling helps, and whether a better student thinks like its teacher: statistics of such studies.

Source:
    Ramesh, Sengupta, Chakraborty 2025, arXiv:2505.15442; LCS2-IIITD/KD_generalization, `analysis/`.
    Differences: items on which the teacher gives no answer do not count for the agreement; BLEU is
    sacrebleu's over the corpus (13a tokens), whose official tokenisation is not known; tests give
    None where they are undefined (a constant side, too few items) instead of NaN.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import f_oneway, spearmanr, ttest_rel

from limbeck.core.errors import ConfigError
from limbeck.evaluation.answers import final_answer, same_answer
from limbeck.evaluation.statistics import Rows

_FEWEST_PAIRS = 2
_RESAMPLES = 1000
_FEWEST_RANKS = 3

Test = dict[str, Any]
"""`n`, `statistic`, `p_value` (None where undefined), and what the test estimates."""


def agreement(student: Sequence[str], teacher: Sequence[str]) -> float | None:
    """Share of items on which student and teacher give the same final answer.

    Args:
        student: texts, one an item.
        teacher: texts of the same items, in the same order.

    Returns:
        In [0, 1], over the items on which the teacher gives an answer; None without such an item.

    Raises:
        ConfigError: not as many texts on both sides.
    """
    _check_pairs(student, teacher)
    pairs = [(final_answer(one), final_answer(other)) for one, other in zip(student, teacher, strict=True)]
    same = [same_answer(one, other) for one, other in pairs if other]
    return sum(same) / len(same) if same else None


def rationale_bleu(student: Sequence[str], teacher: Sequence[str]) -> float:
    """Corpus BLEU of the student's texts against the teacher's, 0 to 100.

    Args:
        student: texts, one an item.
        teacher: texts of the same items, in the same order.

    Raises:
        ConfigError: not as many texts on both sides, or none.
    """
    from sacrebleu.metrics import BLEU  # only where texts are compared

    _check_pairs(student, teacher)
    if not student:
        raise ConfigError("BLEU must have at least one text, got none.")
    return float(BLEU().corpus_score(list(student), [list(teacher)]).score)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Test:
    """Spearman's correlation, for example of student size and gain; its p-value is for two sides.

    Raises:
        ConfigError: not as many values on both sides.
    """
    _check_pairs(x, y)
    undefined = {"n": len(x), "statistic": None, "p_value": None}
    if len(x) < _FEWEST_RANKS or len(set(x)) < 2 or len(set(y)) < 2:
        return undefined
    found = spearmanr(x, y)
    return {"n": len(x), "statistic": float(found.statistic), "p_value": float(found.pvalue)}


def paired_t_test(student: Sequence[float], baseline: Sequence[float]) -> Test:
    """Student's t of the differences student - baseline on the same items, two-sided.

    The interval is `Rows.difference`'s, which is wider than that of t where the differences are skewed or few
    of them are not 0; a verdict follows from it and from `n` (`FEWEST_ROWS`), not from the p-value.

    Returns:
        n, difference (mean), interval (95 %), statistic, p_value.

    Raises:
        ConfigError: not as many values on both sides.
    """
    _check_pairs(student, baseline)
    change = np.asarray(student, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    found: Test = {
        "n": len(change),
        "difference": float(change.mean()) if len(change) else None,
        "interval": None,
        "statistic": None,
        "p_value": None,
    }
    if len(change) < _FEWEST_PAIRS or not np.ptp(change) > 0:
        return found
    test = ttest_rel(student, baseline)
    ones = np.ones(len(change))
    rows = Rows(range(len(change)), resamples=_RESAMPLES, seed=0)
    return found | {
        "interval": rows.difference((change, ones), (np.zeros(len(change)), ones))["interval"],
        "statistic": float(test.statistic),
        "p_value": float(test.pvalue),
    }


def one_way_anova(groups: Mapping[str, Sequence[float]]) -> Test:
    """Fisher's F over groups of values, for example one group a method.

    Returns:
        n, means (by group), statistic, p_value; undefined with fewer than two groups, no group of
        two values, or no scatter within the groups.
    """
    values = [np.asarray(list(group), dtype=np.float64) for group in groups.values() if len(group)]
    found: Test = {
        "n": sum(len(group) for group in values),
        "means": {name: float(np.mean(group)) for name, group in groups.items() if len(group)},
        "statistic": None,
        "p_value": None,
    }
    scatter = any(len(group) > 1 and np.ptp(group) > 0 for group in values)
    if len(values) < 2 or not scatter:
        return found
    test = f_oneway(*values)
    if not math.isfinite(test.statistic):
        return found
    return found | {"statistic": float(test.statistic), "p_value": float(test.pvalue)}


def _check_pairs(first: Sequence[Any], second: Sequence[Any]) -> None:
    if len(first) != len(second):
        raise ConfigError(f"both sides must have as many items, got {len(first)} and {len(second)}.")
