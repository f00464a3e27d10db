"""`limbeck`: one command a verb; everything slow is imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.errors import guarded

EPILOG = """
First steps: `limbeck run quickstart`, then `limbeck list recipes`, then
`limbeck run word_kd teacher=DIR_OR_ID student=DIR_OR_ID data=FILE`.
"""

app = typer.Typer(
    name="limbeck",
    help="Distil language models: teacher to student, any published method, on one engine.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Recipe = Annotated[str, typer.Argument(metavar="RECIPE|FILE", help="Name of a recipe, or a .yaml file.")]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Inputs of the recipe, settings of training, or fields by path: steps.1.train.max_steps=10.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder. Default: runs/<name of the recipe>.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

# Words like --max_steps=10 reach the recipe as key=value.
_PAIRS = {"ignore_unknown_options": True}


@app.callback()
def _root() -> None:
    """Without it, a program of one command would have no verb."""


@app.command("list", context_settings={"ignore_unknown_options": True}, options_metavar="")
@guarded
def list_(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[recipes|objectives|schedules|metrics|students|teachers] [--json]",
            help="What to list, all without it; --json for programs.",
        ),
    ] = None,
) -> None:
    """List recipes and the parts they are made of."""
    from limbeck.cli.listing import print_list  # `cli.main` takes a shorter way here

    print_list(words or [])


@app.command(context_settings=_PAIRS)
@guarded
def show(recipe: Recipe, pairs: Pairs = None, debug: Debug = False) -> None:
    """Print a recipe as YAML, ready to be saved, changed and run."""
    from limbeck.runs.resolve import parse_pairs, resolve

    print(resolve(recipe, parse_pairs(pairs or [])).to_yaml(), end="")


@app.command(context_settings=_PAIRS)
@guarded
def plan(recipe: Recipe, pairs: Pairs = None, out: Out = None, debug: Debug = False) -> None:
    """Check everything and print what a run would do and need; spends nothing."""
    from limbeck.cli.commands import plan_command

    plan_command(recipe, pairs or [], out)


@app.command(context_settings=_PAIRS)
@guarded
def run(
    recipe: Recipe,
    pairs: Pairs = None,
    out: Out = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Recompute what another recipe or other data left in the folder."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Run a recipe; finished steps are reused, an interrupted one goes on."""
    from limbeck.cli.commands import run_command

    run_command(recipe, pairs or [], out, overwrite=overwrite)


@app.command(context_settings=_PAIRS)
@guarded
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or id of the model to measure.")],
    data: Annotated[str, typer.Option("--data", help="Held-out rows: a file, a folder or a hub id.")],
    pairs: Pairs = None,
    teacher: Annotated[str | None, typer.Option("--teacher", help="Compare with this model.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="Compare with this student.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the result and the report here.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model on held-out rows, beside its teacher if you name one."""
    from limbeck.cli.commands import evaluate_command

    evaluate_command(model, data, teacher, baseline, pairs or [], out, as_json=json)


@app.command(context_settings=_PAIRS)
@guarded
def capture(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Folder or id of the teacher.")],
    data: Annotated[str, typer.Option("--data", help="Rows: a file, a folder or a hub id.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the store.")],
    pairs: Pairs = None,
    debug: Debug = False,
) -> None:
    """Ask a teacher about rows once and store what it says; goes on where it was interrupted."""
    from limbeck.cli.signals import capture_command

    capture_command(teacher, data, out, pairs or [])


signals = typer.Typer(help="Look at stores, or rehearse one before it is made.", no_args_is_help=True)
app.add_typer(signals, name="signals")


@signals.command("show")
@guarded
def signals_show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a store.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Print what a store is of and holds, and check its files."""
    from limbeck.cli.signals import show_command

    show_command(folder, as_json=json)


@signals.command("rehearse", context_settings=_PAIRS)
@guarded
def signals_rehearse(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Folder or id of the teacher.")],
    data: Annotated[str, typer.Option("--data", help="Rows: a file, a folder or a hub id.")],
    pairs: Pairs = None,
    positions: Annotated[int, typer.Option("--positions", min=16, help="Size of the sample.")] = 2048,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Print bytes a position against KL for several payloads, on a sample; writes nothing."""
    from limbeck.cli.signals import rehearse_command

    rehearse_command(teacher, data, pairs or [], positions=positions, as_json=json)


@app.command()
@guarded
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")], debug: Debug = False
) -> None:
    """Write the report of a run anew."""
    from limbeck.cli.commands import report_command

    report_command(folder)


@app.command()
@guarded
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="Differences to this run: its name or folder. Default: the first."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the table here: .md, .html, .csv or .json.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put finished runs side by side; runs that differ in the seed alone become one, with an interval."""
    from limbeck.cli.comparing import compare_command

    compare_command(folders, baseline=baseline, out=out, as_json=json)


@app.command(context_settings=_PAIRS)
@guarded
def doctor(pairs: Pairs = None, debug: Debug = False) -> None:
    """Look at this machine, and at whether teacher=... and student=... fit together."""
    from limbeck.cli.doctor import doctor_command

    doctor_command(pairs or [])
