"""What a user reads of a server that refuses or gives no answer; nothing is asked twice."""

from pathlib import Path

import pytest

from tests.endpoint.fault_server import CONTENT_FILTER, CONTEXT_LENGTH, HTML, NO_MODEL, QUOTA, WRONG_KEY
from tests.runs.served import serving
from tests.runs.world import write_rows

KEY = "sk-hunter2hunter2hunter2"

ASKED = """
limbeck: 1
name: asked
steps:
  - load: {{out: rows, path: {data}, heldout: 0}}
  - elicit:
      out: made
      teacher: {{endpoint: "{url}", model: model, workers: 1, api_key_env: A_KEY}}
      rows: rows.train
      operator: answer
      failures: skip
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes the recipe for a server."""
    monkeypatch.setenv("A_KEY", KEY)
    write_rows(tmp_path / "d.jsonl", [{"prompt": f"question {n}"} for n in range(4)])

    def of(url: str) -> Path:
        path = tmp_path / "asked.yaml"
        path.write_text(ASKED.format(data=tmp_path / "d.jsonl", url=url), encoding="utf-8")
        return path

    return of


def shows_key(folder: Path, *said: str) -> bool:
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return any(b"hunter2" in one for one in files) or any("hunter2" in one for one in said)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(CONTEXT_LENGTH, "context_length"), (CONTENT_FILTER, "content_filter"), (HTML, "html")],
)
def test_a_row_without_an_answer_is_told_with_its_reason_and_not_asked_again(
    limbeck, recipe, tmp_path, fault, reason
):
    with serving(lambda call: fault if call.prompt == "question 2" else None) as server:
        done = limbeck("run", recipe(server.url), "--out", tmp_path / "runs" / "run")
        assert done.code == 0, done.err
        assert f"3 of 3 candidates accepted, 3 calls (0 kept already); 1 without an answer ({reason} 1)" in (
            " ".join(done.out.split())
        )
        asked = len(server.calls)
        again = limbeck("run", recipe(server.url), "--out", tmp_path / "runs" / "other")
        assert again.code == 0 and f"1 without an answer ({reason} 1)" in " ".join(again.out.split())
        assert len(server.calls) == asked
    assert not shows_key(tmp_path / "runs", done.out, done.err)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (WRONG_KEY, "Incorrect API key provided: [key]. Look whether A_KEY holds the right key"),
        (QUOTA, "You exceeded your current quota. Look whether A_KEY holds the right key"),
        (NO_MODEL, "It does not serve the model 'model': let it serve that, or name another one"),
    ],
)
def test_a_pause_says_in_whole_sentences_what_to_look_at_and_the_same_command_goes_on(
    limbeck, recipe, tmp_path, fault, said
):
    faults = [None, fault]
    with serving(lambda call: faults.pop(0) if faults else None) as server:
        paused = limbeck("run", recipe(server.url), "--out", tmp_path / "runs" / "run")
        assert paused.code == 75 and said in paused.err, paused.err
        done = limbeck("run", recipe(server.url), "--out", tmp_path / "runs" / "run")
        assert done.code == 0 and "4 calls (1 kept already)" in done.out
        assert len(server.calls) == 1 + 1 + 3
    assert not shows_key(tmp_path / "runs", paused.out, paused.err, done.out)
