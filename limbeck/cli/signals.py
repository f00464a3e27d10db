"""`limbeck capture` and `limbeck signals`: stores from the command line."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from limbeck.cli.bars import Bars
from limbeck.cli.consoles import plain_console
from limbeck.cli.quiet import silence
from limbeck.core.errors import StoreError
from limbeck.runs.record.progress import Lines, Silent
from limbeck.runs.resolve import parse_pairs
from limbeck.signals.payload import Payload


def capture_command(teacher: str, data: str, out: Path, pairs: Sequence[str]) -> None:
    """Make a store in `out`; the same command goes on where it stopped."""
    inputs = parse_pairs(pairs)
    silence()
    from limbeck.runs import ranks
    from limbeck.runs.commands.capture import capturing
    from limbeck.runs.launch import run

    recipe = capturing(teacher, data, out, inputs)
    console = plain_console()
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder:
        place = Path(folder) / "run"
        if console.is_terminal and ranks.is_main():
            with Bars(console) as bars:
                run(recipe, place, progress=bars)
        else:
            run(recipe, place, progress=Lines(sys.stderr) if ranks.is_main() else Silent())
    if ranks.is_main():
        show_command(out, as_json=False)


def show_command(folder: Path, *, as_json: bool) -> None:
    """What a store is of and what it holds; every file is compared with its checksum."""
    from limbeck.signals.manifest import FORMAT, Manifest

    manifest = Manifest.read(folder)
    manifest.verify(folder)
    identity = manifest.identity
    held = {
        "teacher": identity.teacher,
        **({"asked at": manifest.origin} if as_json and manifest.origin else {}),
        **({} if as_json else {f"asked: {name}": value for name, value in manifest.origin.items()}),
        "weights": identity.weights,
        "tokenizer": identity.tokenizer,
        "chat template": identity.template,
        "data": identity.data,
        "rendering": ", ".join(f"{name} {value!r}" for name, value in identity.rendering.items()),
        "payload": said(manifest.payload),
        "vocabulary": identity.vocabulary,
        "rows": manifest.rows,
        "tokens read": manifest.tokens,
        "positions kept": manifest.positions,
        "bytes": manifest.bytes,
        "bytes a position": round(manifest.bytes / max(1, manifest.positions), 1),
        "shards": len(manifest.shards),
        "format": FORMAT,
    }
    if as_json:
        print(json.dumps(held, indent=2, ensure_ascii=False))
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in held.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int | float) else str(value))
    plain_console().print(table)
    print("Every file has the checksum of the manifest.")


def rehearse_command(teacher: str, data: str, pairs: Sequence[str], *, positions: int, as_json: bool) -> None:
    """Bytes a position against KL, for several payloads, on a sample; nothing is written."""
    inputs = parse_pairs(pairs)
    silence()
    from limbeck.runs.commands.capture import capturing, rehearsal

    recipe = capturing(teacher, data, Path("signals"), inputs)
    with plain_console(stderr=True).status("asking the teacher about a sample ..."):
        found = rehearsal(recipe, positions=positions)
    if not found:
        raise StoreError("sample must have target positions, got none. Check the rows.")
    if as_json:
        plain = [{**vars(one), "payload": one.payload.model_dump(mode="json")} for one in found]
        print(json.dumps(plain, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("payload")
    for name in ("bytes/position", "ids", "drawn", "tail", "KL of rounding", "KL to the whole"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        kept = ("",) * 3
        if one.ids is not None:
            kept = (f"{one.ids:.1f}", f"{one.draws:.1f}", f"{one.tail:.4f}")
        losses = (f"{one.kept_kl:.1e}", f"{one.full_kl:.2e}")
        table.add_row(said(one.payload), f"{one.bytes:,.1f}", *kept, *losses)
    plain_console().print(table)
    print(
        "KL(teacher || stored) in nats; the whole: the stored tail spread evenly over the other ids. Drawn\n"
        "ids are not in it: they stand for the tail on average, and forward_kl learns from them."
    )


def said(payload: Payload) -> str:
    """A payload in one line, as a recipe writes it."""
    ((name, fields),) = payload.model_dump(mode="json").items()
    inner = [
        f"{key}: {value:g}" if isinstance(value, float) else f"{key}: {value}"
        for key, value in fields.items()
    ]
    return f"{{{name}: {{{', '.join(inner)}}}}}"
