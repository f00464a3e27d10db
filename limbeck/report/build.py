"""`report.html` and the model card of a run, from the files in its folder alone."""

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from limbeck.core.files import write_text
from limbeck.report.comparison import comparison_section
from limbeck.report.eliciting import elicited
from limbeck.report.headline import comparisons, how_many
from limbeck.report.loyalty import loyalty
from limbeck.report.plots import calibration_figure, loss_figure, slice_figure
from limbeck.report.record import Record, read_run
from limbeck.report.samples import samples
from limbeck.report.story import limits, story
from limbeck.report.table import main_table
from limbeck.report.training import environment, examples, objective, steps_table
from limbeck.report.validation import validation_figures, validation_verdicts
from limbeck.report.verdict import facts, findings, lead, next_steps
from limbeck.report.words import count, listed, percent

_HERE = Path(__file__).parent
_SLICE_NAMES = {
    "position": "position in the row, tokens",
    "teacher_entropy": "entropy of the teacher, nats",
    "row_length": "tokens of the row in the loss",
}


def build_report(run_folder: Path) -> Path:
    """Write `report.html` (self-contained) and `README.md` (a model card) into a run folder.

    What the run did not leave behind is left out of the page.

    Returns:
        The path of `report.html`.

    Raises:
        RunFolderError: there is nothing to report on, or the evaluation is of another format.
    """
    record = read_run(run_folder)
    shared = _shared(record)
    pages = Environment(loader=FileSystemLoader(_HERE), autoescape=True)
    pages.filters["code"] = _code
    pages.filters["breaks"] = _breaks
    pages.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    page = pages.get_template("page.html").render(**shared, **_page(record, elicited(record, run_folder)))
    path = run_folder / "report.html"
    write_text(path, page)
    if not record.evaluation and not (run_folder / "student").exists():
        return path  # a run that made rows alone has no model to describe
    cards = Environment(loader=FileSystemLoader(_HERE), trim_blocks=True)  # Markdown: nothing to escape
    card = cards.get_template("card.md").render(**shared, **_card(record))
    write_text(run_folder / "README.md", card)
    return path


def _shared(record: Record) -> dict[str, Any]:
    compared = comparisons(record)
    return {
        "name": record.name,
        "lead": lead(record),
        "facts": facts(record),
        "findings": findings(record),
        "next_steps": next_steps(record),
        "comparisons": compared,
        "how_many": how_many(compared),
        "subjects": record.subjects,
        "lines": main_table(record),
        "data": record.evaluation.get("data", {}),
        "story": story(record),
    }


def _page(record: Record, made: list[dict[str, Any]]) -> dict[str, Any]:
    generation, machine = record.metric("generation"), record.metric("speed").get("machine", {})
    return {
        "css": Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        "comparison": comparison_section(record.comparison),
        "last": _last_evaluation(record),
        "unit": "examples" if record.kind and record.kind.has_classes else "tokens",
        "task_rule": generation.get("task", {}).get("rule", ""),
        "machine": _machine(machine) if machine else "",
        "tokenizers": _tokenizers(record),
        "classes": [
            {"name": name, "rows": measured["classes"]}
            for name, measured in record.metric("classification").get("subjects", {}).items()
            if measured.get("classes")
        ],
        "loyalty": loyalty(record),
        "slices": _slices(record),
        "follows": _follows(record),
        "calibration": _calibration(record),
        "elicited": made,
        "samples": samples(generation.get("samples", [])),
        "max_new_tokens": generation.get("max_new_tokens"),
        "validation": validation_figures(record.validation),
        "hacking": validation_verdicts(record.validation),
        "losses": [
            {
                "svg": Markup(loss_figure(lines, name, objective(record, name))),
                "caption": _loss_caption(name, lines, objective(record, name)),
            }
            for name, lines in record.curves.items()
            if any(line.get("loss") is not None for line in lines)
        ],
        "steps": steps_table(record),
        "examples": examples(record),
        "notes": [f"{step.get('out')}: {note}" for step in record.steps for note in step.get("notes") or []],
        "definitions": [
            (name, metric["definition"])
            for name, metric in record.evaluation.get("metrics", {}).items()
            if metric.get("definition")
        ],
        "versions": environment(record.versions),
        "recipe": record.recipe_text,
    }


def _card(record: Record) -> dict[str, Any]:
    auto = "AutoModel" if record.kind is None else record.kind.auto_class
    front: dict[str, Any] = {"library_name": "transformers"}
    if record.kind is not None:
        front["pipeline_tag"] = record.kind.pipeline_tag
    front["tags"] = ["distillation", "limbeck"]
    return {"front": yaml.safe_dump(front, sort_keys=False), "auto": auto, "limits": limits(record)}


def _tokenizers(record: Record) -> str:
    """What cannot be compared where the models have several tokenizers."""
    others = [subject["name"] for subject in record.subjects if subject.get("own_tokens")]
    if not others:
        return ""
    verb = "reads" if len(others) == 1 else "read"
    return (
        f"In other tokens than the student, {listed(others)} {verb} the same rows: between them there is no "
        "agreement or divergence; bits per byte and written text compare; speeds count each model's own "
        "tokens."
    )


def _last_evaluation(record: Record) -> str:
    """Name of the evaluation that the page shows in full, where there are several."""
    evaluated = [step.get("out", "") for step in record.steps if step.get("kind") == "evaluate"]
    return evaluated[-1] if len(evaluated) > 1 else ""


def _slices(record: Record) -> list[dict[str, Any]]:
    subjects = record.metric("fidelity").get("subjects", {})
    if not subjects:
        return []
    figures = []
    for what, entries in next(iter(subjects.values()))["slices"].items():
        if len(entries) < 2:
            continue
        of_subject = {name: measured["slices"][what] for name, measured in subjects.items()}
        sizes = ", ".join(f"{entry['slice']}: {entry['top1_agreement']['n']:,}" for entry in entries)
        name = _SLICE_NAMES.get(what, what)
        agreement = slice_figure(
            of_subject, "top1_agreement", xlabel=name, ylabel="top-1 agreement, %", scale=100
        )
        divergence = slice_figure(
            of_subject, "forward_kl", xlabel=name, ylabel="KL(teacher ‖ model), nats", scale=1
        )
        figures.append(
            {"svg": Markup(agreement), "caption": f"Agreement by {name}. Positions: {sizes}. Bars: 95 %."}
        )
        figures.append(
            {"svg": Markup(divergence), "caption": f"Divergence by {name}, same positions. Bars: 95 %."}
        )
    return figures


def _follows(record: Record) -> str:
    student = record.named("student")
    measured = record.measured("fidelity", student)
    right = measured.get("top1_agreement_where_teacher_is_right", {}).get("value")
    wrong = measured.get("top1_agreement_where_teacher_is_wrong", {}).get("value")
    if right is None or wrong is None:
        return ""
    return (
        f"Where the teacher's top-1 prediction is right, the student's matches it on {percent(right)} of "
        f"tokens; where it is wrong, on {percent(wrong)}."
    )


def _calibration(record: Record) -> dict[str, Any] | None:
    subjects = record.metric("calibration").get("subjects", {})
    curves = {name: measured["curve"] for name, measured in subjects.items() if measured.get("curve")}
    if not curves:
        return None
    errors = listed([f"{name} {percent(subjects[name]['ece']['value'])}" for name in curves])
    caption = (
        "Accuracy by confidence, in 15 bins. On the dotted line, confidence is what it says; below it, "
        f"the model is too sure of itself. Mean distance from the line (ECE): {errors}."
    )
    return {"svg": Markup(calibration_figure(curves)), "caption": caption}


def _loss_caption(name: str, lines: list[dict[str, Any]], minimised: str) -> str:
    first, last = lines[0], lines[-1]
    speed = f", {count(last['tokens_per_second'])} tokens/s" if last.get("tokens_per_second") else ""
    tokens = f", {count(last['tokens'])} tokens" if last.get("tokens") else ""
    return (
        f"{name}: {minimised or 'loss'} {first['loss']:.3g} at step {first['step']}, {last['loss']:.3g} at "
        f"step {last['step']} of {last.get('of', last['step'])}{tokens}{speed}. Strong line: running mean."
    )


def _code(sentence: str) -> Markup:
    """`words` between backticks as code, everything escaped."""
    parts = [escape(part) for part in sentence.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


def _breaks(name: str) -> Markup:
    """A name that may go on in the next line behind each underscore."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def _machine(machine: dict[str, Any]) -> str:
    threads = machine.get("threads")
    return f"{machine.get('device')}" + (
        f" with {threads} {'thread' if threads == 1 else 'threads'} ({machine.get('platform')})"
        if machine.get("device") == "CPU"
        else ""
    )
