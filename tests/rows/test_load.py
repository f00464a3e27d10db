"""Loading: every spelling becomes one shape, every file format reads, and mistakes are named."""

import subprocess
import sys

import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, are_progress_bars_disabled

from limbeck.core.errors import ConfigError, RowError
from limbeck.rows.facts import facts_of
from limbeck.rows.formats import READERS
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.load import load_rows
from limbeck.rows.suffixes import DATA_SUFFIXES

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]


SOLVED = {"question": "q", "solutions": ["a", "b", "c", "d"], "verdicts": [None, False, True, True]}


@pytest.mark.parametrize(
    ("row", "kind", "columns"),
    [
        ({"messages": TURNS}, Kind.MESSAGES, {"messages"}),
        ({"prompt": "p", "completion": "c"}, Kind.COMPLETION, {"prompt", "completion"}),
        ({"prompt": "p", "response": "c"}, Kind.COMPLETION, {"prompt", "completion"}),
        ({"instruction": "p", "output": "c"}, Kind.COMPLETION, {"prompt", "completion"}),
        ({"prompt": TURNS[:1], "completion": TURNS[1:]}, Kind.MESSAGES, {"messages"}),
        ({"prompt": "p"}, Kind.PROMPT, {"prompt"}),
        ({"text": "t"}, Kind.TEXT, {"text"}),
        ({"text": "t", "label": 1}, Kind.LABELLED_TEXT, {"text", "label"}),
        ({"text_a": "a", "text_b": "b", "label": "x"}, Kind.LABELLED_PAIR, {"text_a", "text_b", "label"}),
        ({"premise": "a", "hypothesis": "b", "label": 0}, Kind.LABELLED_PAIR, {"text_a", "text_b", "label"}),
        ({"text_a": "a", "text_b": "b", "score": 2.5}, Kind.SCORED_PAIR, {"text_a", "text_b", "score"}),
        ({"tokens": ["a"], "ner_tags": ["O"]}, Kind.TAGS, {"tokens", "tags"}),
        ({"question": "q", "answer": "a"}, Kind.QUESTION, {"question", "answer"}),
        ({"prompt": "p", "chosen": "a", "rejected": ""}, Kind.PREFERENCE, {"prompt", "chosen", "rejected"}),
    ],
)
def test_columns_decide_the_kind_and_become_limbecks_names(write, row, kind, columns):
    rows = load_rows(write([row]))
    assert kind_of(rows.column_names) is kind
    assert set(rows.column_names) == columns | {"id"}


def test_an_input_goes_below_its_instruction(write):
    given = {"instruction": "Add.", "input": "1 and 2", "output": "3"}
    rows = load_rows(write([given, {**given, "input": ""}]))
    assert rows["prompt"][:] == ["Add.\n1 and 2", "Add."]


def test_judged_solutions_become_the_first_right_and_the_first_wrong_one(write):
    rows = load_rows(write([{**SOLVED, "verdicts": [True] * 4}, SOLVED, {**SOLVED, "verdicts": [None] * 4}]))
    assert kind_of(rows.column_names) is Kind.PREFERENCE
    assert rows.to_list() == [{"prompt": "q", "chosen": "c", "rejected": "b", "id": "rows.jsonl:2"}]


def test_judged_solutions_of_another_name_are_renamed(write):
    raw = {"problem": "q", "generations": ["a", "b"], "correctness_math_verify": [False, True], "id": "x"}
    columns = {"question": "problem", "solutions": "generations", "verdicts": "correctness_math_verify"}
    row = load_rows(write([raw]), columns=columns)[0]
    assert row == {"prompt": "q", "chosen": "b", "rejected": "a", "id": "x"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"verdicts": [True, False]},
            "row rows.jsonl:1: solutions and verdicts must be of one length, got 4 and 2",
        ),
        ({"solutions": ["a", "", "b", "c"]}, "solutions must be a list of texts that are not empty"),
        ({"verdicts": ["yes", "no", "no", "no"]}, "verdicts must be a list of true and false"),
        (
            {"verdicts": [True] * 4},
            "at least one question must have a right and a wrong solution, got none of 1",
        ),
    ],
)
def test_solutions_that_do_not_fit_their_verdicts_are_named(write, change, message):
    with pytest.raises(RowError, match=message):
        load_rows(write([SOLVED | change]))


def test_sharegpt_speakers_become_roles(write):
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]
    assert load_rows(write([{"conversations": turns}]))[0]["messages"] == TURNS


def test_an_unknown_speaker_is_named_with_its_row(write):
    path = write([{"conversations": [{"from": "narrator", "value": "x"}]}])
    with pytest.raises(RowError, match=r"row rows.jsonl:1: the speaker `from` must be one of .*got narrator"):
        load_rows(path)


def test_columns_are_renamed_and_replace_one_that_is_in_the_way(write):
    path = write([{"question": "q", "answer": "human", "llm_answer": "model", "llm_rationale": "because"}])
    row = load_rows(path, columns={"answer": "llm_answer", "rationale": "llm_rationale"})[0]
    assert row == {"question": "q", "answer": "model", "rationale": "because", "id": "rows.jsonl:1"}


def test_a_column_to_rename_that_is_not_there_is_named(write):
    with pytest.raises(ConfigError, match=r"columns.text: must name a column .*'txt'. Did you mean 'text'"):
        load_rows(write([{"texte": "x", "text": "y"}]), columns={"text": "txt"})


def test_unknown_columns_say_what_was_found_and_what_is_accepted(write):
    with pytest.raises(RowError) as error:
        load_rows(write([{"query": "q", "reply": "r"}]))
    assert "got query+reply" in str(error.value)
    assert "Nearest is query+response: say columns: {completion: NAME}" in str(error.value)
    assert len(str(error.value).split("got ")[1]) < 200


@pytest.mark.parametrize(
    ("columns", "advice"),
    [
        (["Instruction", "Reply"], "Nearest is instruction+output: say columns: {completion: NAME}"),
        (["prompts", "completions"], "columns: {prompt: prompts, completion: completions}"),
        (["role", "body"], "columns: {prompt: QUESTION, completion: ANSWER}"),
    ],
)
def test_the_nearest_kind_is_said_of_unknown_columns_and_where_all_stand(write, columns, advice):
    with pytest.raises(RowError) as error:
        load_rows(write([dict.fromkeys(columns, "x")] * 2))
    assert advice in str(error.value)
    assert "section Data of the guide" in str(error.value)


def test_ids_are_file_and_line_or_the_column_id_as_text(write):
    assert load_rows(write([{"text": "x"}, {"text": "y"}]))["id"][:] == ["rows.jsonl:1", "rows.jsonl:2"]
    assert load_rows(write([{"text": "x", "id": 7}, {"text": "y", "id": 9}]))["id"][:] == ["7", "9"]


def test_rows_that_share_an_id_are_named_by_file_and_line_too_and_it_is_said(write):
    rows = load_rows(write([{"text": "x", "id": 7}, {"text": "y", "id": 7}, {"text": "z", "id": None}]))
    assert rows["id"][:] == ["7@rows.jsonl:1", "7@rows.jsonl:2", "rows.jsonl:3"]
    assert facts_of(rows).notes[0].startswith("2 rows share their id with another row")


@pytest.mark.parametrize("suffix", ["json", "parquet", "csv", "tsv", "arrow"])
def test_every_table_format_reads_the_same(tmp_path, suffix):
    rows = [{"text": "NA", "label": 1}, {"text": 'a, "b"', "label": 0}]
    named = [row | {"label": str(row["label"])} for row in rows]
    path = tmp_path / f"data.{suffix}"
    if suffix == "tsv":
        path.write_text('text\tlabel\nNA\t1\na, "b"\t0\n')
    elif suffix == "arrow":
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table)
    else:
        getattr(Dataset.from_list(rows), f"to_{suffix}")(str(path))
    assert load_rows(str(path)).remove_columns("id").to_list() == named


def test_a_lone_quotation_mark_in_tsv_does_not_swallow_the_next_line(tmp_path):
    (tmp_path / "a.tsv").write_text('text\tlabel\n"half a quote\t1\nwhole\t0\n')
    assert load_rows(str(tmp_path / "a.tsv"))["text"][:] == ['"half a quote', "whole"]


def test_text_files_give_a_row_for_each_line_that_is_not_blank(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    rows = load_rows(str(tmp_path / "a.txt"))
    assert rows.to_list() == [{"text": "one", "id": "a.txt:1"}, {"text": "two", "id": "a.txt:3"}]


def test_files_of_several_splits_are_refused_until_one_is_named(write, tmp_path):
    write([{"text": "x"}], "data/train-0.jsonl")
    write([{"text": "y"}], "data/test-0.jsonl")
    with pytest.raises(ConfigError, match=r"test: test-0.jsonl; train: train-0.jsonl.*Set split: train"):
        load_rows(str(tmp_path / "data"))
    assert load_rows(str(tmp_path / "data"), split="train+test")["text"][:] == ["y", "x"]
    assert load_rows(str(tmp_path / "data"), split="train")["text"][:] == ["x"]
    with pytest.raises(ConfigError, match=r"got 'tran'. Did you mean 'train'"):
        load_rows(str(tmp_path / "data"), split="tran")


def test_a_folder_of_source_files_gives_a_row_a_file(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/b.py").write_text("x = 1\n")
    (tmp_path / "a.md").write_text("# a\n")
    (tmp_path / "empty.py").write_text("")
    rows = load_rows(str(tmp_path))
    assert rows.to_list() == [{"text": "# a\n", "id": "a.md"}, {"text": "x = 1\n", "id": "pkg/b.py"}]


def test_a_source_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "bad.py").write_bytes(b"caf\xe9")
    with pytest.raises(RowError, match=r"bad.py: must be UTF-8 text"):
        load_rows(str(tmp_path))


def test_saved_datasets_load_and_ask_for_a_split_where_there_are_several(tmp_path):
    labels = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    part = Dataset.from_dict({"text": ["x"], "label": [1]}, features=labels)
    part.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": part, "dev": part}).save_to_disk(str(tmp_path / "two"))
    assert load_rows(str(tmp_path / "one")).to_list() == [{"text": "x", "label": "yes", "id": "one:1"}]
    assert load_rows(str(tmp_path / "two"), split="dev")["id"][:] == ["dev:1"]
    with pytest.raises(ConfigError, match=r"split must be one of train, dev .* got None"):
        load_rows(str(tmp_path / "two"))


def test_the_column_split_chooses_rows_of_one_file_and_has_to_be_asked(write):
    path = write([{"text": "x", "split": "train"}, {"text": "y", "split": "dev"}])
    with pytest.raises(ConfigError, match=r"values dev, train: rows to measure on .*Set split: train"):
        load_rows(path)
    assert load_rows(path, split="dev")["text"][:] == ["y"]
    with pytest.raises(ConfigError, match="got 'test'; the file has the values dev, train"):
        load_rows(path, split="test")


def test_limit_takes_rows_from_the_front(write):
    assert load_rows(write([{"text": c} for c in "abc"]), limit=2)["text"][:] == ["a", "b"]


def test_a_missing_file_suggests_a_neighbour(write, tmp_path):
    write([{"text": "x"}], "train.jsonl")
    with pytest.raises(ConfigError, match=r"Did you mean 'train.jsonl'"):
        load_rows(str(tmp_path / "trian.jsonl"))
    with pytest.raises(ConfigError, match=r"The folder .*nowhere does not exist"):
        load_rows(str(tmp_path / "nowhere/train.jsonl"))


def test_a_hub_id_without_a_network_says_so(monkeypatch):
    def refuse(*_):
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(ConfigError, match=r"got owner/name; no file or folder .* Couldn't reach"):
        load_rows("owner/name")


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"text": \n')
    with pytest.raises(RowError, match=r"a.jsonl:2: must be a JSON object"):
        load_rows(str(tmp_path / "a.jsonl"))


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(RowError, match="must have at least one row, got an empty file"):
        load_rows(str(tmp_path / "a.jsonl"))


def test_the_standard_library_comes_with_its_heldout_column():
    rows = load_rows("standard_library", limit=20)
    assert set(rows.column_names) == {"text", "heldout", "id"}
    assert rows[0]["id"].endswith(".py")


def test_whole_numbers_where_text_belongs_become_text(write):
    assert load_rows(write([{"question": "1+1", "answer": 2}]))[0]["answer"] == "2"


def test_loading_rendering_and_splitting_do_not_import_torch():
    modules = "load, render, split"
    code = f"import sys; from limbeck.rows import {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_progress_bars_are_left_as_they_were(write):
    before = are_progress_bars_disabled()
    load_rows(write([{"text": "x"}]))
    assert are_progress_bars_disabled() == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"prompt": "p", "completion": " "},
            "completion must be text that is not empty, got ' '. Take the row out or fill it.",
        ),
        ({"text": None, "label": 1}, "text must be text that is not empty, got nothing"),
        ({"text": "t", "label": None}, "label must be text or a whole number, got nothing"),
        ({"text": "t", "label": 0.5}, r"label must be text or a whole number, got 0.5. Name a score `score`"),
        ({"messages": TURNS[:1]}, "messages must have an assistant turn that is not empty, got none"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, "tokens and tags must be of one length, got 2 and 1"),
        ({"text_a": "a", "text_b": "b", "score": float("inf")}, "score must be a finite number, got inf"),
        (
            {"chosen": "a", "rejected": "b"},
            "chosen and rejected must follow a prompt or messages, got neither",
        ),
        ({"question": "q", "answer": ["a", "b"]}, r"answer must be text, got list \['a', 'b'\]"),
    ],
)
def test_a_row_with_nothing_to_learn_from_is_named(write, row, message):
    good = {
        name: {"label": 1, "score": 1.0}.get(name, value) for name, value in row.items() if name != "messages"
    }
    rows = [{**good, **row}]
    with pytest.raises(RowError, match=f"row rows.jsonl:1: {message}"):
        load_rows(write(rows))


def test_many_bad_rows_are_counted_after_the_first_ten(write):
    rows = [{"prompt": "p", "completion": "" if i else "good"} for i in range(14)]
    with pytest.raises(RowError, match=r"rows.jsonl:11: .*\nand 3 more rows") as error:
        load_rows(write(rows))
    assert len(error.value.problems) == 12
    assert "Set bad_rows: drop" in str(error.value)


def test_the_suffixes_that_mean_a_file_are_those_that_can_be_read():
    assert set(READERS) == DATA_SUFFIXES


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train1", "test1"),
        ("trainset", "testset"),
        ("train", "held_out"),
        ("training", "evaluation"),
        ("trn", "tst"),
        ("train", "validate"),
    ],
)
def test_files_of_several_splits_are_known_by_many_words(write, tmp_path, first, second):
    write([{"text": "a"}], f"{first}.jsonl"), write([{"text": "b"}], f"{second}.jsonl")
    with pytest.raises(ConfigError, match=r"files of several splits"):
        load_rows(str(tmp_path))
    assert load_rows(str(tmp_path), split="train")["text"][:] == ["a"]


@pytest.mark.parametrize(
    ("column", "train", "test"),
    [
        ("set", "train", "test"),
        ("Partition", "training", "dev"),
        ("is_test", False, True),
        ("is_train", 1, 0),
    ],
)
def test_a_column_of_another_name_may_say_the_split(write, column, train, test):
    path = write([{"text": "a", column: train}, {"text": "b", column: test}])
    with pytest.raises(ConfigError, match=r"a column `split` with the values"):
        load_rows(path)
    assert load_rows(path, split=train if column in ("set", "Partition") else "train")["text"][:] == ["a"]


def test_a_set_that_is_no_split_is_a_column_as_others(write):
    assert load_rows(write([{"text": "a", "set": "math"}, {"text": "b", "set": "code"}]))["set"][:] == [
        "math",
        "code",
    ]


def test_files_without_the_column_split_are_not_read_where_one_is_named(write, tmp_path):
    write([{"text": "a", "split": "train"}], "a.jsonl"), write([{"text": "b"}], "b.jsonl")
    assert load_rows(str(tmp_path), split="train")["text"][:] == ["a"]
