"""`limbeck render` and what `limbeck plan` says of rows, before anything is spent."""

import json

import pytest

from limbeck.core.errors import ConfigError
from limbeck.recipes.sft import sft
from limbeck.rows.preview import previews
from limbeck.runs.checking.survey import survey
from limbeck.runs.commands.render import rendered_as
from tests.rows.templates import QWEN3, assistant, tokenizer_with, user
from tests.tiny import tiny_llama

ROWS = [
    {"messages": [user("hi"), assistant("yes"), user("and?"), assistant("<|im_end|> no")]},
    {"messages": [user("hi"), assistant("yes and no")]},
]
PAIRS = [{"prompt": f"what {number}?", "completion": "this one here"} for number in range(6)]


@pytest.fixture
def folder(tmp_path):
    """A model whose template rewrites turns, and two files of rows."""
    tokenizer = tokenizer_with(QWEN3)
    tiny_llama(vocab=len(tokenizer), layers=1).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    for name, rows in (("rows", ROWS), ("pairs", PAIRS)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def rendering(capsys, *words):
    from typer.testing import CliRunner

    from limbeck.cli.app import app

    done = CliRunner().invoke(app, ["render", *map(str, words)])
    return done.exit_code, done.output + capsys.readouterr().out


def test_rows_are_printed_with_what_is_in_the_loss(folder, capsys):
    code, said = rendering(
        capsys, folder / "rows.jsonl", "--tokenizer", folder / "model", "--max-length", "66"
    )
    assert code == 0
    asked = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert (
        f"rows.jsonl:1#turn2: 30 tokens, 10 in the loss\n{asked}⟦<think>\n\n</think>\n\nyes<|im_end|>⟧\n"
        in said
    )
    assert "<|im_end|> no<|im_end|>⟧" in said
    assert "2 rows, 3 examples," in said
    for note in ("Conversations with one example per answer", "Rows with special tokens in their text"):
        assert note in said


def test_counts_and_stretches_come_as_json(folder, capsys):
    words = (folder / "pairs.jsonl", "--tokenizer", folder / "model", "chat=true", "--limit", "1", "--json")
    code, said = rendering(capsys, *words)
    found = json.loads(said)
    assert code == 0 and (found["rows"], found["examples"], len(found["shown"])) == (6, 6, 1)
    (one,) = found["shown"]
    assert [part["in_loss"] for part in one["stretches"]] == [False, True, False]
    assert one["stretches"][0]["text"] == "<|im_start|>user\nwhat 0?<|im_end|>\n<|im_start|>assistant\n"
    assert found["in_loss"] == 6 * one["in_loss"]


def test_a_field_that_does_not_exist_and_a_wrong_value_are_the_users(folder, capsys):
    words = (folder / "rows.jsonl", "--tokenizer", folder / "model")
    assert rendering(capsys, *words, "--loss-on", "lst")[0] == 2
    assert rendering(capsys, *words, "los_on=all")[0] == 2


def test_the_first_token_is_in_no_loss(folder):
    _, found, tokenizer = rendered_as(str(folder / "pairs.jsonl"), str(folder / "model"), {"loss_on": "all"})
    (first,) = previews(found, tokenizer, 1)
    assert first.tokens - first.in_loss == 1 and not first.stretches[0].in_loss


def test_the_plan_says_how_rows_are_read_and_what_is_cut(folder):
    model = str(folder / "model")
    seen = survey(sft(student=model, data=str(folder / "pairs.jsonl"), heldout=1, max_length=14))
    seen.problems.refuse()
    said = seen.notes[1]
    assert any("chat: true in the load step writes them as two turns" in note for note in said)
    assert any(note.startswith("Answers cut at max_length") for note in said)
    assert any(note.startswith("Prompts given the separator") for note in said)
    (first, _) = seen.samples[1]
    assert first.marked.startswith("what ") and "⟦th" in first.marked


def test_a_model_may_be_named_with_how_it_is_read(folder):
    rows = str(folder / "pairs.jsonl")
    plain, named = (
        rendered_as(rows, str(folder / "model"), {}),
        rendered_as(rows, f"{{model: {folder / 'model'}, dtype: float32}}", {}),
    )
    assert named[1]["input_ids"] == plain[1]["input_ids"]
    with pytest.raises(ConfigError, match="tokenizer: must be a model as it is"):
        rendered_as(rows, f"{{cut: {folder / 'model'}, layers: 1}}", {})
