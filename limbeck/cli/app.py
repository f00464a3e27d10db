"""`limbeck`: one command a verb; everything slow is imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck import __version__
from limbeck.cli.prompts_group import PROMPTS, prompts
from limbeck.cli.registering import PAIRS, Debug, Json, command_of
from limbeck.core.catalogue import REQUIRED, catalogue

EPILOG = """
First steps: `limbeck run quickstart`, then `limbeck list`, then `limbeck init` or
`limbeck run word_kd teacher=DIR_OR_ID student=DIR_OR_ID data=FILE`.
"""

app = typer.Typer(
    name="limbeck",
    help="Distil language models: teacher to student, any published method, on one engine.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_STORES = "Inspect a store of a teacher's answers, or compare payloads before making one."

Recipe = Annotated[str, typer.Argument(metavar="RECIPE|FILE", help="Name of a recipe, or a .yaml file.")]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Inputs of the recipe (limbeck list recipes RECIPE), settings of every training (lora_r=16), "
        "or a field of one step by its name (steps.student.max_steps=10).",
    ),
]
MeasurePairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Fields of an evaluate step (metrics=[perplexity], max_length=512, prompts=32, ...), and of a "
        "load step (columns.prompt=question, split=test).",
    ),
]
CapturePairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Fields of a capture step (payload.topk.max=64, max_length=512, ...) or of a load step "
        "(columns.prompt=question, limit=300).",
    ),
]
ModelPairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="teacher=DIR_OR_ID, student=DIR_OR_ID (or a tokenizer.json), data=FILE.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder. Default: runs/<name of the recipe>.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"limbeck {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Distil language models: teacher to student, any published method, on one engine."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@command_of(app, "list", context_settings=PAIRS)
def list_(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KIND NAME",
            help="recipes, objectives, schedules, metrics, operators, gates, selectors, students, teachers "
            "or settings; with a name, all about it.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List recipes and the parts they are made of, or explain one: limbeck list recipes gkd."""
    from limbeck.cli.listing import print_list  # `cli.main` takes a shorter way here

    print_list([*(words or []), *(["--json"] if json else [])])


@command_of(app, context_settings=PAIRS)
def init(
    pairs: ModelPairs = None,
    out: Annotated[Path, typer.Option("--out", help="The recipe file, which must be new.")] = Path(
        "mine.yaml"
    ),
    debug: Debug = False,
) -> None:
    """Look at teacher, student and data, and write a recipe that fits, with the reasons in it."""
    from limbeck.cli.init import init_command

    init_command(pairs or [], out)


@command_of(app, context_settings=PAIRS)
def show(recipe: Recipe, pairs: Pairs = None, debug: Debug = False) -> None:
    """Print a recipe as YAML, ready to be saved, changed and run; its inputs if none are given."""
    if not pairs and _needs_inputs(recipe):
        from limbeck.cli.listing import recipe_text

        print(recipe_text(recipe))
        return
    from limbeck.runs.resolve import parse_pairs, resolve

    print(resolve(recipe, parse_pairs(pairs or [])).to_yaml(), end="")


def _needs_inputs(recipe: str) -> bool:
    entry = catalogue("recipes").get(recipe)
    return entry is not None and REQUIRED in entry.keywords.values()


@command_of(app, context_settings=PAIRS)
def plan(recipe: Recipe, pairs: Pairs = None, out: Out = None, debug: Debug = False) -> None:
    """Check everything and print what a run would do, need and take; runs nothing."""
    from limbeck.cli.commands import plan_command

    plan_command(recipe, pairs or [], out)


@command_of(app, context_settings=PAIRS)
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
    """Run a recipe; finished steps are reused, an interrupted one continues."""
    from limbeck.cli.commands import run_command

    run_command(recipe, pairs or [], out, overwrite=overwrite)


@command_of(app, context_settings=PAIRS)
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or id of the model to measure.")],
    data: Annotated[str, typer.Option("--data", help="Held-out rows: a file, a folder or a hub id.")],
    pairs: MeasurePairs = None,
    teacher: Annotated[str | None, typer.Option("--teacher", help="Compare with this model.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="Compare with this student.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the result and the report here.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Evaluate a model on rows it was not trained on, beside its teacher if you name one."""
    from limbeck.cli.commands import evaluate_command

    evaluate_command(model, data, teacher, baseline, pairs or [], out, as_json=json)


@command_of(app, context_settings=PAIRS)
def capture(
    teacher: Annotated[
        str,
        typer.Argument(
            metavar="TEACHER",
            help="Folder or id of the teacher, or a server: '{endpoint: URL, model: NAME, tokenizer: DIR}'.",
        ),
    ],
    data: Annotated[str, typer.Option("--data", help="Rows: a file, a folder or a hub id.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the store.")],
    pairs: CapturePairs = None,
    debug: Debug = False,
) -> None:
    """Ask a teacher about rows once and store its answers; resumes where it was interrupted."""
    from limbeck.cli.signals import capture_command

    capture_command(teacher, data, out, pairs or [])


signals = typer.Typer(no_args_is_help=True)
app.add_typer(signals, name="signals", short_help=_STORES, help=_STORES)


@command_of(signals, "show")
def signals_show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a store.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Print what a store is of and holds, and check its files."""
    from limbeck.cli.signals import show_command

    show_command(folder, as_json=json)


@command_of(signals, "rehearse", context_settings=PAIRS)
def signals_rehearse(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Folder or id of the teacher.")],
    data: Annotated[str, typer.Option("--data", help="Rows: a file, a folder or a hub id.")],
    pairs: CapturePairs = None,
    positions: Annotated[int, typer.Option("--positions", min=16, help="Size of the sample.")] = 2048,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare payloads of a store on a sample of rows, in bytes per position and KL; writes nothing."""
    from limbeck.cli.signals import rehearse_command

    rehearse_command(teacher, data, pairs or [], positions=positions, as_json=json)


@command_of(app, context_settings=PAIRS)
def render(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Rows: a file, a folder or a hub id.")],
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", metavar="MODEL", help="Folder or id of the model that reads them.")
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Fields of load and train steps that say how rows are read: chat=true, task=preference, "
            "special_tokens=parse, columns.prompt=question, split=test.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Examples to print.")] = 2,
    max_length: Annotated[int, typer.Option("--max-length", help="Most tokens of one row.")] = 512,
    loss_on: Annotated[
        str, typer.Option("--loss-on", help="last_assistant, all_assistant or all.")
    ] = "all_assistant",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Print rows as a model reads them, with what is in the loss marked; spends nothing."""
    from limbeck.cli.rendering import render_command

    fields = {"max_length": max_length, "loss_on": loss_on}
    render_command(data, tokenizer, fields, pairs or [], limit=limit, as_json=json)


@command_of(app, context_settings=PAIRS)
def gate(
    place: Annotated[Path, typer.Argument(metavar="RUN|ROWS", help="Folder of a run, or a file of rows.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GATE KEY=VALUE ...",
            help="Gates (limbeck list gates), each with its settings behind it: length max=200 novelty. "
            "None: those of the step.",
        ),
    ] = None,
    keep: Annotated[str, typer.Option("--keep", help="Rows that all gates let through, or any.")] = "all",
    step: Annotated[
        str | None, typer.Option("--step", help="Out of the step. Default: the last that judges rows.")
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option("--against", help="Rows of an evaluation set, or seeds: a file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Keep the rows with their verdicts in this new folder.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Judge rows again by other gates or settings, without asking a teacher; changes nothing."""
    from limbeck.cli.gating import gate_command

    gate_command(place, words or [], keep=keep, step=step, against=against or [], out=out, as_json=json)


@command_of(app)
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")], debug: Debug = False
) -> None:
    """Regenerate the report and the model card of a run."""
    from limbeck.cli.commands import report_command

    report_command(folder)


@command_of(app)
def view(
    path: Annotated[
        Path, typer.Argument(metavar="RUN|DATA", help="A run folder, a folder of rows or a data file.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the page. Default: RUN/view; of data, NAME.view here."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    debug: Debug = False,
) -> None:
    """Look at your data: a page of all rows, verdicts, prompts as sent and prices, with search; no server."""
    from limbeck.cli.viewing import view_command

    view_command(path, out, opens=open_)


@command_of(app)
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
    """Compare finished runs; runs that differ only in seed are averaged."""
    from limbeck.cli.comparing import compare_command

    compare_command(folders, baseline=baseline, out=out, as_json=json)


@command_of(app, context_settings=PAIRS)
def doctor(pairs: ModelPairs = None, debug: Debug = False) -> None:
    """Look at this machine, at whether teacher and student fit together, and at a data file."""
    from limbeck.cli.doctor import doctor_command

    doctor_command(pairs or [])


@command_of(app, context_settings=PAIRS)
def probe(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Base URL of the API, such as http://127.0.0.1:8000/v1.")
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Fields of an endpoint: model=NAME, api_key_env=VARIABLE, journal=FILE that keeps it.",
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Find out what an endpoint really does, by some twenty calls of a few tokens."""
    from limbeck.cli.probing import probe_command

    probe_command(url, pairs or [], as_json=json)


app.add_typer(prompts, name="prompts", short_help=PROMPTS, help=PROMPTS)
