"""What evaluations measure, read from the source of the metrics: no metric is imported.

A metric is a function in a file of its own in `limbeck/evaluation`, named in its `__init__.py`. The file says

- `ABILITY`, optional: what a kind of model must be able to do: an attribute of `core.kinds.ModelKind`, or
  one that only some kinds have;
- `TEACHER`, optional: `needed` if it compares with a teacher, `usual` if other rows do without;
- `MEASURES`: name -> the fields of a `Measure`, `path` below the metric's result for a subject among them
  (the name alone where it is not given).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from limbeck.core.catalogue import catalogue, constant
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.lookup import unknown

Form = Literal["share", "number", "score"]


@dataclass(frozen=True)
class Measure:
    """One measure of a model.

    Attributes:
        places: paths below `metrics`, the subject left out: (metric, key, ...); the first that is
            there counts.
        rank: where it stands in tables, low before high.
        label: with its unit, for tables and axes; empty for one that the report leaves out.
        heading: short, for the table in the terminal; empty for one that is left out there.
        better: `higher`, `lower`, or empty where neither is.
        form: a share is shown as per cent, a score lies between 0 and 100.
        difference: of what a student is better or worse than a baseline, in a sentence.
        leads: what a report begins with, where student and teacher have it.
        compared: whether several evaluations are compared by it.
        of_teacher: measured against the model's own teacher, so that students of several cannot be ranked.
    """

    places: tuple[tuple[str, ...], ...]
    rank: int
    label: str = ""
    heading: str = ""
    better: str = ""
    form: Form = "number"
    difference: str = ""
    leads: bool = False
    compared: bool = True
    of_teacher: bool = False

    @property
    def title(self) -> str:
        """The label at the start of a line."""
        return self.label[:1].upper() + self.label[1:]

    def of(self, evaluation: Mapping[str, Any], subject: str) -> dict[str, Any] | None:
        """The estimate of a subject in the result of `limbeck.evaluation.evaluate`; None without one."""
        for metric, *keys in self.places:
            found: Any = evaluation.get("metrics", {}).get(metric, {}).get("subjects", {}).get(subject)
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, dict) and found.get("value") is not None:
                return found
        return None


def metrics_of(kind: KindName) -> list[str]:
    """The metrics that models of a kind can be measured by, in the order of tables."""
    ranks = {place[0]: one.rank for one in reversed([*MEASURES.values()]) for place in one.places}
    wanted = {name: _said(name, "ABILITY") for name in sorted(ranks, key=lambda name: ranks[name])}
    found = kind_named(kind)
    return [name for name, ability in wanted.items() if not ability or getattr(found, ability, False)]


def needs_teacher(metric: str) -> bool:
    """Whether a metric can only be computed beside a teacher."""
    return _said(metric, "TEACHER") == "needed"


def expects_teacher(metric: str) -> bool:
    """Whether a metric is computed beside a teacher, but for special rows."""
    return bool(_said(metric, "TEACHER"))


def _said(metric: str, name: str) -> str:
    return str(constant(catalogue("evaluation")[metric].module, name, ""))


def _known(metric: str) -> str:
    if metric not in catalogue("evaluation"):
        raise ValueError(unknown("metric", metric, catalogue("evaluation")))
    return metric


MetricName = Annotated[str, AfterValidator(_known)]
"""A field of a configuration: the name of a metric."""


def _measures() -> dict[str, Measure]:
    found: dict[str, dict[str, Any]] = {}
    for metric, entry in catalogue("evaluation").items():
        for name, fields in constant(entry.module, "MEASURES").items():
            place = (metric, *fields.get("path", (name,)))
            known = found.setdefault(name, {"places": ()})
            known |= {key: value for key, value in fields.items() if key != "path"}
            known["places"] = (*known["places"], place)
    return {name: Measure(**found[name]) for name in sorted(found, key=lambda name: found[name]["rank"])}


MEASURES: Mapping[str, Measure] = _measures()
"""Name -> measure, in the order of tables."""

COMPARED: Mapping[str, Measure] = {name: one for name, one in MEASURES.items() if one.compared}
"""Those that several evaluations are compared by."""

SIZES: Mapping[str, str] = {"parameters": "parameters", "teacher_parameters": "parameters of the teacher"}
"""What is known of every compared model besides its measures."""
