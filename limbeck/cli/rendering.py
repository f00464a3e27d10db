"""`limbeck render`: rows as a model reads them, before anything is spent."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from limbeck.cli.consoles import plain_console
from limbeck.cli.quiet import silence

if TYPE_CHECKING:
    from limbeck.rows.preview import Preview

_LEARNT = "bold green"
_EDGE = 80  # characters shown of the beginning and the end of a long stretch


def render_command(
    data: str,
    tokenizer: str,
    fields: Mapping[str, Any],
    pairs: Sequence[str],
    *,
    limit: int,
    as_json: bool,
) -> None:
    """Print the first examples with what is in the loss marked, then what was cut, added or split.

    Args:
        data: as `path` of a load step.
        tokenizer: folder or id of a model.
        fields: of load and train steps, from options; `pairs` of key=value go before them.
        pairs: words of the command line.
        limit: examples to print; counts are of all rows.
        as_json: print plain data.
    """
    silence()
    from limbeck.rows.preview import previews, totals
    from limbeck.rows.render import notes_of
    from limbeck.runs.commands.render import rendered_as
    from limbeck.runs.resolve import parse_pairs

    rows, rendered, loaded = rendered_as(data, tokenizer, {**fields, **parse_pairs(pairs)})
    shown, notes = previews(rendered, loaded, limit), notes_of(rendered)
    tokens, in_loss = totals(rendered)
    counts = {"rows": rows, "examples": len(rendered), "tokens": tokens, "in_loss": in_loss}
    if as_json:
        print(json.dumps(_plain(shown, counts, notes), indent=2, ensure_ascii=False))
        return
    console = plain_console()
    for one in shown:
        console.print(preview_text(one, coloured=console.is_terminal), soft_wrap=True)
    said = ", ".join(
        f"{count:,} {name if count != 1 else name[:-1]}"
        for name, count in counts.items()
        if name != "in_loss"
    )
    console.print(f"{said}, {counts['in_loss']:,} of them in the loss.", highlight=False)
    for note in notes:
        console.print(note[:1].upper() + note[1:], highlight=False, soft_wrap=True)


def preview_text(one: "Preview", *, coloured: bool, short: bool = False) -> RenderableType:
    """An example under its name: what is in the loss in colour, or between marks; `short`: not all of it."""
    if short:
        one = one._replace(stretches=[part._replace(text=_cropped(part.text)) for part in one.stretches])
    head = Text(f"{one.row_id}: {one.tokens:,} tokens, {one.in_loss:,} in the loss\n", style="dim")
    if not coloured:
        return Text.assemble(head, one.marked, "\n")
    parts = [(part.text, _LEARNT if part.in_loss else "") for part in one.stretches]
    return Text.assemble(head, *parts, "\n")


def _cropped(text: str) -> str:
    return text if len(text) <= 3 * _EDGE else f"{text[:_EDGE]} ... {text[-_EDGE:]}"


def _plain(shown: "Sequence[Preview]", counts: Mapping[str, int], notes: Sequence[str]) -> dict[str, Any]:
    examples = [
        {
            "row_id": one.row_id,
            "tokens": one.tokens,
            "in_loss": one.in_loss,
            "stretches": [part._asdict() for part in one.stretches],
        }
        for one in shown
    ]
    return {**counts, "notes": list(notes), "shown": examples}
