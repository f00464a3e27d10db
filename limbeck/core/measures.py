"""What evaluations measure, by name: where a value lies, its label, its form, which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["share", "number", "score", "count"]


@dataclass(frozen=True)
class Measure:
    """One measure of a model.

    Attributes:
        label: with its unit, for tables and axes.
        places: paths below `metrics`, the subject left out: (metric, key, ...); the first that is
            there counts.
        better: `higher`, `lower`, or empty where neither is.
        form: a share is shown as per cent, a score lies between 0 and 100.
    """

    label: str
    places: tuple[tuple[str, ...], ...]
    better: str
    form: Form

    def of(self, evaluation: Mapping[str, Any], subject: str) -> dict[str, Any] | None:
        """The estimate of a subject in the result of `limbeck.evaluation.evaluate`; None without one."""
        for metric, *keys in self.places:
            found: Any = evaluation.get("metrics", {}).get(metric, {}).get("subjects", {}).get(subject)
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, dict) and found.get("value") is not None:
                return found
        return None


def _one(label: str, *place: str, better: str = "", form: Form = "number") -> Measure:
    return Measure(label, (place,), better, form)


MEASURES: Mapping[str, Measure] = {
    "bits_per_byte": _one("bits per byte", "perplexity", "bits_per_byte", better="lower"),
    "accuracy": _one("accuracy", "classification", "accuracy", better="higher", form="share"),
    "macro_f1": _one("macro F1", "classification", "macro_f1", better="higher"),
    "task": _one("task passed", "generation", "task", better="higher", form="share"),
    "top1_agreement": _one(
        "agreement with the teacher",
        "fidelity",
        "overall",
        "top1_agreement",
        better="higher",
        form="share",
    ),
    "label_loyalty": _one(
        "agreement with the teacher's label", "classification", "label_loyalty", better="higher", form="share"
    ),
    "answer_agreement": _one(
        "agreement in the final answer", "generation", "answer_agreement", better="higher", form="share"
    ),
    "rationale_bleu": _one(
        "BLEU with the teacher's text", "generation", "rationale_bleu", better="higher", form="score"
    ),
    "forward_kl": Measure(
        "KL(teacher ‖ model), nats",
        (("fidelity", "overall", "forward_kl"), ("classification", "forward_kl")),
        "lower",
        "number",
    ),
    "reverse_kl": Measure(
        "KL(model ‖ teacher), nats",
        (("fidelity", "overall", "reverse_kl"), ("classification", "reverse_kl")),
        "lower",
        "number",
    ),
    "pair_order": _one("order of pairs, Spearman", "similarity", "pair_order", better="higher"),
    "cosine": _one("cosine to the teacher", "similarity", "cosine", better="higher"),
    "human": _one("agreement with human scores", "similarity", "human", better="higher"),
    "ece": _one("calibration error", "calibration", "ece", better="lower", form="share"),
    "length": _one("length, tokens", "generation", "length"),
}
"""Name -> measure, in the order of tables."""

SIZES: Mapping[str, str] = {"parameters": "parameters", "teacher_parameters": "parameters of the teacher"}
"""What is known of every compared model besides its measures."""
