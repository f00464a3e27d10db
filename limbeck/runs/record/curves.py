"""What train steps measured while they ran, collected from the metrics of the run and judged."""

import json
from pathlib import Path
from typing import Any

from limbeck.core.files import write_json
from limbeck.evaluation.hacking import hacking

VALIDATION = "validation.json"
_LOSS = "/loss"


def write_validation(run: Path, metrics: Path) -> None:
    """`validation.json`: train step -> its curves [[step, value], ...], and the verdict on proxy and golden.

    Of what learns beside a student, the loss is kept. Left out when no line of the metrics has either.
    """
    found: dict[str, dict[str, list[list[float]]]] = {}
    for line in metrics.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        losses = {name: value for name, value in (entry.get("parties") or {}).items() if name.endswith(_LOSS)}
        for name, value in {**(entry.get("validation") or {}), **losses}.items():
            if value is not None:
                found.setdefault(entry["phase"], {}).setdefault(name, []).append([entry["step"], value])
    (run / VALIDATION).unlink(missing_ok=True)
    if found:
        write_json(run / VALIDATION, {phase: _judged(curves) for phase, curves in found.items()})


def _judged(curves: dict[str, list[list[float]]]) -> dict[str, Any]:
    if not {"proxy", "golden"} <= curves.keys():
        return {"curves": curves}
    pair = [[(step, value) for step, value in curves[name]] for name in ("proxy", "golden")]
    return {"curves": curves, "hacking": hacking(*pair)}
