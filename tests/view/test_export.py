"""What the page is given: every row once, in files that hold data alone."""

import base64
import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from limbeck.cli.app import app
from limbeck.core import lineage
from limbeck.core.errors import RunFolderError
from limbeck.view.export import PAGE, build_view
from limbeck.view.plain import plain
from tests.view.made import HOSTILE, make_run, saved

CALL = re.compile(r"take\(\"([a-z0-9-]+)\", (.*)\);\n", re.S)


def script(view, name):
    """The value in a data script, as the page gets it."""
    told, value = CALL.fullmatch((view / "data" / f"{name}.js").read_text(encoding="utf-8")).groups()
    assert told == name
    value = json.loads(value)
    return json.loads(gzip.decompress(base64.b64decode(value))) if isinstance(value, str) else value


def all_rows(view):
    return [row for file in sorted((view / "data").glob("rows-*.js")) for row in script(view, file.stem)]


def of_file(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return all_rows(build_view(path, tmp_path / "page").page.parent)


def test_every_row_of_every_step_is_there_once_and_in_order(tmp_path):
    made = build_view(make_run(tmp_path))
    assert (made.rows, made.steps) == (20, 3)
    view = made.page.parent
    assert view == tmp_path / "sky" / "view"
    ids = [row.get("id") or row.get("row_id") for row in all_rows(view)]
    assert ids == [
        *(f"q{n}" for n in range(8)), *(f"q{n}~0" for n in range(4)), "q4~0", "q5~0", "q5~1", "q3",
        *(f"q{n}~0" for n in range(1, 4)), "q0~0",
    ]  # fmt: skip
    run = script(view, "run")
    parts = [
        (part["name"], part["status"], part["first"], part["rows"])
        for step in run["steps"]
        for part in step["parts"]
    ]
    assert parts == [
        ("train", "accepted", 0, 6), ("heldout", "accepted", 6, 2),
        ("rows", "accepted", 8, 4), ("rejected", "rejected", 12, 3), ("failures", "failed", 15, 1),
        ("rows", "accepted", 16, 3), ("rejected", "rejected", 19, 1),
    ]  # fmt: skip
    assert run["steps"][1]["yield"]["cost_per_accepted"] == "0.00084"


def test_the_index_says_who_rejected_a_row_and_what_it_comes_from(tmp_path):
    (index,) = script(build_view(make_run(tmp_path)).page.parent, "index-00000")
    words = index["refused"]["words"]
    refused = [[words[code] for code in codes] for codes in index["refused"]["codes"]]
    assert refused[:12] == [[]] * 12
    assert refused[12:16] == [
        [["length", "longer than 20 characters"]], [["novelty", "too close to another row"]],
        [["novelty", "too close to another row"]], [["request", "content_filter"]],
    ]  # fmt: skip
    assert index["parents"][8] == ["q0"]
    assert (index["cost"][0], index["cost"][8], index["tokens_out"][8]) == (None, 0.00042, 12)
    kinds = [index["kind"]["words"][code] for code in index["kind"]["codes"]]
    assert (kinds[0], kinds[8], kinds[15]) == ("prompt", "prompt+completion", "failure")


def test_data_files_hold_nothing_that_a_browser_could_read_as_markup(tmp_path):
    run = make_run(tmp_path)
    (run / "steps/1-elicit-answers/done.json").write_text(json.dumps({"said": HOSTILE}))
    view = build_view(run).page.parent
    for file in (view / "data").glob("*.js"):
        text = file.read_bytes().decode("ascii" if file.stem != "run" else "utf-8")
        assert not set("<>&\u2028\u2029\x00\x1b") & set(text), file.name
    assert script(view, "run")["steps"][1]["said"] == HOSTILE
    assert all_rows(view)[8]["completion"] == HOSTILE
    # The pages themselves are the same for every run.
    assert all((view / file.name).read_bytes() == file.read_bytes() for file in PAGE.iterdir())


def test_of_a_failure_only_what_limbeck_says_is_shown(tmp_path):
    view = build_view(make_run(tmp_path)).page.parent
    assert set(all_rows(view)[15]) == {"row_id", "reason", "message", "key"}
    assert "sk-secret" not in json.dumps(all_rows(view))


def test_the_same_run_makes_the_same_bytes(tmp_path):
    run = make_run(tmp_path)
    first, second = (build_view(run, tmp_path / name).page.parent for name in ("one", "two"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


def test_a_page_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path):
    run = make_run(tmp_path)
    build_view(run)
    assert build_view(run).rows == 20
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"must be new, empty or an earlier page"):
        build_view(run, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["nowhere", "empty", "notes.txt"])
def test_refuses_what_holds_no_rows(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no rows")
    with pytest.raises(RunFolderError, match=name):
        build_view(tmp_path / name, tmp_path / "page")


def test_names_the_rows_that_are_damaged_and_leaves_no_half_page(tmp_path):
    run = make_run(tmp_path)
    rows = run / "steps" / "2-gate-good" / "rows"
    (file,) = rows.glob("*.arrow")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RunFolderError, match=r"2-gate-good/rows: must be whole"):
        build_view(run)
    file.unlink()
    with pytest.raises(RunFolderError, match=r"2-gate-good/rows: must be whole"):
        build_view(run)
    assert not (run / "view").exists()


def test_lines_that_are_no_rows_are_shown_as_they_stand(tmp_path):
    data = b'{"text": "one"}\n\nnot json\n[1, 2]\n{"text": "caf\xe9"}\n' + b"[" * 100_000 + b"\n"
    rows = of_file(tmp_path, "rows.jsonl", data)
    lines = ["not json", "[1, 2]", '{"text": "caf\\xe9"}', "[" * 100_000]
    assert rows == [{"text": "one"}, *({"unreadable": line} for line in lines)]


def test_reads_lists_tables_and_parquet(tmp_path):
    expected = [{"question": "why, then?", "answer": "so\nthere"}]
    table = 'question,answer\n"why, then?","so\nthere"\n'
    assert of_file(tmp_path, "rows.json", json.dumps(expected)) == expected
    assert of_file(tmp_path, "rows.csv", table) == expected
    assert (
        of_file(tmp_path, "rows.tsv", table.replace("question,", "question\t").replace('","', '"\t"'))
        == expected
    )
    pq.write_table(pa.Table.from_pylist(expected), tmp_path / "rows.parquet")
    assert all_rows(build_view(tmp_path / "rows.parquet", tmp_path / "page").page.parent) == expected


def test_halves_of_pairs_and_null_bytes_arrive_as_they_were(tmp_path):
    text = "\\\ud800 \x00 \udfff\ud83d\ude00"
    (row,) = of_file(tmp_path, "rows.jsonl", json.dumps({"text": text}))
    assert row["text"].encode("utf-16-le", "surrogatepass") == text.encode("utf-16-le", "surrogatepass")


def test_a_row_of_ten_megabytes_has_a_file_of_its_own(tmp_path):
    lines = [{"text": "a"}, {"text": "b" * 10_000_000}, {"text": "c"}]
    rows = of_file(tmp_path, "rows.jsonl", "\n".join(map(json.dumps, lines)))
    assert rows == lines
    assert script(tmp_path / "page", "run")["chunks"] == [0, 1, 2]


def test_numbers_that_javascript_would_change_become_texts():
    assert plain([2**53, 2**53 + 1, float("-inf"), b"\x01", (1, 2)]) == [
        2**53, str(2**53 + 1), "-Infinity", "1 bytes: AQ==", [1, 2],
    ]  # fmt: skip


def test_samples_of_a_generate_step_come_from_the_row_they_answer(tmp_path):
    steps = tmp_path / "run" / "steps"
    saved([{"id": "a", "prompt": "p"}], steps / "0-load-rows" / "train")
    saved(
        [{"id": f"a~{n}", "prompt": "p", "completion": "c"} for n in range(2)],
        steps / "1-generate-more" / "rows",
    )
    (index,) = script(build_view(tmp_path / "run").page.parent, "index-00000")
    assert index["parents"] == [[], ["a"], ["a"]]


def test_columns_that_the_page_gives_a_place_are_columns_of_the_lineage():
    # All others are listed with the other fields.
    code = (PAGE / "row.js").read_text(encoding="utf-8")
    facts, apart = re.search(r"const FACTS = (.*?);.*?const APART = \[(.*?)\.\.\.FACTS", code, re.S).groups()
    names = [*re.findall(r"\[\"(\w+)\",", facts), *re.findall(r"\"(\w+)\"", apart)]
    assert len(names) == 14
    assert set(names) <= set(lineage.FIELDS)


def test_the_page_has_the_colours_of_the_report():
    def palette(path: Path) -> str:
        return path.read_text(encoding="utf-8").partition("* {")[0]

    assert palette(PAGE / "page.css") == palette(PAGE.parents[1] / "report" / "page.css")


def test_the_command_says_where_the_page_is(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    run = make_run(tmp_path)
    done = CliRunner().invoke(app, ["view", str(run), "--open"])
    address = (run / "view" / "index.html").as_uri()
    assert (done.exit_code, done.output, opened) == (0, f"20 rows: {address}\n", [address])
