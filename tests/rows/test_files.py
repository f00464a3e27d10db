"""Files as other systems write them: compressed, marked, wrapped, separated otherwise; text stays text."""

import bz2
import datetime
import decimal
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from limbeck.core.errors import ConfigError, RowError
from limbeck.rows.facts import facts_of
from limbeck.rows.load import load_rows
from limbeck.rows.read import files_of

ROWS = [{"prompt": "say dog", "completion": "the dog"}, {"prompt": "say cat", "completion": "the cat"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = b"prompt,completion\nsay dog,the dog\nsay cat,the cat\n"


@pytest.fixture
def read(tmp_path):
    """The rows of a file with these bytes, without ids."""

    def read(name, content, **options):
        (tmp_path / name).write_bytes(content)
        return load_rows(str(tmp_path / name), **options).remove_columns("id").to_list()

    return read


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("r.jsonl.xz", lzma.compress(LINES)),
        ("r.csv.bz2", bz2.compress(TABLE)),
        ("r.jsonl.zst", pa.compress(LINES, "zstd", asbytes=True)),
        ("R.JSONL", LINES),
        ("r.ndjson", LINES),
        ("bom.jsonl", b"\xef\xbb\xbf" + LINES),
        ("utf16.jsonl", LINES.decode().encode("utf-16")),
        ("utf16.csv", TABLE.decode().encode("utf-16")),
        ("semicolon.csv", TABLE.replace(b",", b";")),
        ("tab.csv", TABLE.replace(b",", b"\t")),
        ("crlf.csv", TABLE.replace(b"\n", b"\r\n")),
        ("array.json", json.dumps(ROWS, indent=1).encode()),
        ("pretty.jsonl", "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()),
        ("wrapped.json", json.dumps({"data": ROWS}).encode()),
        ("wrapped.jsonl", json.dumps({"version": 1, "examples": ROWS}, indent=2).encode()),
        ("columns.json", json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}).encode()),
        (
            "pandas.json",
            json.dumps({key: {str(n): row[key] for n, row in enumerate(ROWS)} for key in ROWS[0]}).encode(),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_of_other_systems_read_the_same(read, name, content):
    assert read(name, content) == ROWS


def test_an_object_with_several_lists_asks_for_one(read):
    content = json.dumps({"train": ROWS, "test": ROWS[:1]}).encode()
    with pytest.raises(ConfigError, match=r"split must be one of train, test .* got None. Set split: train"):
        read("two.json", content)
    assert len(read("two.json", content, split="test")) == 1


@pytest.mark.parametrize("name", ["l.jsonl", "l.csv"])
def test_latin_1_is_named_with_its_line_and_read_when_it_is_said(read, name):
    content = (LINES if name == "l.jsonl" else TABLE).replace(b"say cat", "café".encode("latin-1"))
    line = 2 if name == "l.jsonl" else 3
    with pytest.raises(RowError, match=rf"{name}:{line}: must be UTF-8 .* 0xe9. Set encoding: latin-1"):
        read(name, content)
    assert read(name, content, encoding="latin-1")[1]["prompt"] == "café"


def test_utf_16_without_a_mark_says_what_to_set(read):
    with pytest.raises(RowError, match="Set encoding: utf-16-le"):
        read("u.jsonl", LINES.decode().encode("utf-16-le"))
    assert read("u.jsonl", LINES.decode().encode("utf-16-le"), encoding="utf-16-le") == ROWS
    with pytest.raises(ConfigError, match="encoding: must be an encoding that Python knows, got 'utf-61'"):
        read("u.jsonl", LINES, encoding="utf-61")


def test_a_mark_at_the_beginning_of_a_text_file_is_no_text(read):
    assert read("t.txt", b"\xef\xbb\xbfhello\r\n\r\nworld\r\n") == [{"text": "hello"}, {"text": "world"}]


def test_quoted_tables_of_tabs_are_unquoted_and_lone_marks_are_text(read):
    assert read("p.tsv", b'prompt\tcompletion\n"a ""b"""\tc\n')[0]["prompt"] == 'a "b"'
    assert read("p.tsv", b'prompt\tcompletion\n"a b\tc\n')[0]["prompt"] == '"a b'


def test_rows_are_numbered_by_the_lines_of_their_file(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n\n" + LINES.replace(b"\n", b"\n\n"))
    (tmp_path / "a.csv").write_bytes(b'prompt,completion\n"x\ny",z\nu,v\n')
    assert load_rows(str(tmp_path / "a.jsonl"))["id"][:] == ["a.jsonl:3", "a.jsonl:5"]
    assert load_rows(str(tmp_path / "a.csv"))["id"][:] == ["a.csv:2", "a.csv:4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES + b'{"prompt": "x', r"r.jsonl:3: must be a JSON object; unterminated string"),
        (b"{'prompt': 'a'}\n", r"r.jsonl:1: must be a JSON object; .* at column 2"),
        (b'{"text": "a", "text": "b"}\n{"text": "c"}\n', "r.jsonl:1: must name every key once, got 'text'"),
        (b'{"text": "a\\ud83d"}\n', r"r.jsonl:1: text must be Unicode text, got half of a surrogate pair"),
        (b"[1, 2]", "every row must be a JSON object, got 1"),
        (b"\n\n", "must have at least one row, got a file without any"),
        (b"[]", "must have at least one row, got a file without any"),
        (b"{}", "got no columns"),
    ],
)
def test_broken_json_is_named(read, content, message):
    with pytest.raises(RowError, match=message):
        read("r.jsonl", content)


def test_a_row_with_too_many_cells_is_named(read):
    with pytest.raises(RowError, match=r"r.csv:2: must have 2 cells as the header has, got 3"):
        read("r.csv", b"prompt,completion\na,b,c\nd,e\n")


def test_patterns_name_several_files_and_odd_names_are_names(tmp_path):
    for name in ("a.jsonl", "b.jsonl", "deep/c.jsonl", "x::y/d.jsonl", "e[1]/e.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LINES)
    assert load_rows(f"{tmp_path}/*.jsonl")["id"][::2] == ["a.jsonl:1", "b.jsonl:1"]
    assert len(load_rows(f"{tmp_path}/**/*.jsonl")) == 10
    assert [len(load_rows(str(tmp_path / one))) for one in ("x::y/d.jsonl", "e[1]/e.jsonl")] == [2, 2]
    assert [file.name for file in files_of(f"{tmp_path}/?.jsonl")] == ["a.jsonl", "b.jsonl"]
    with pytest.raises(ConfigError, match=r"must match at least one data file, got .*z\*.jsonl"):
        load_rows(f"{tmp_path}/z*.jsonl")


def test_what_a_hub_clone_says_of_its_data_is_no_data(tmp_path):
    (tmp_path / "dataset_infos.json").write_text('{"default": {"description": "x"}}')
    (tmp_path / "data.jsonl").write_bytes(LINES)
    assert len(load_rows(str(tmp_path))) == 2


def test_text_stays_text_whatever_it_looks_like(read):
    answers = ["2024-01-01", "true", "[1, 2]", "null", "NA", "007", "1e3"]
    rows = [{"question": "q", "answer": answer} for answer in answers]
    for name, content in (
        ("a.jsonl", "\n".join(map(json.dumps, rows)).encode()),
        ("a.csv", ("question,answer\n" + "".join(f'q,"{answer}"\n' for answer in answers)).encode()),
    ):
        assert [row["answer"] for row in read(name, content)] == answers


def test_mixed_answers_become_the_text_that_was_written(read):
    content = b"".join(
        b'{"question": "q", "answer": %s}\n' % answer for answer in (b'"a"', b"5", b"0.50", b"1e3", b'"null"')
    )
    assert [row["answer"] for row in read("m.jsonl", content)] == ["a", "5", "0.50", "1e3", "null"]


def test_numbers_and_dates_of_tables_become_text(tmp_path):
    columns = {
        "answer": [decimal.Decimal("1.50"), decimal.Decimal("2.00")],
        "rationale": [datetime.date(2024, 1, 2), None],
    }
    pq.write_table(pa.table({"question": ["q", "r"], **columns}), tmp_path / "t.parquet")
    rows = load_rows(str(tmp_path / "t.parquet"))
    assert rows["answer"][:] == ["1.50", "2.00"]
    assert rows["rationale"][:] == ["2024-01-02", None]


def test_whole_numbers_that_a_null_made_floats_stay_whole(tmp_path):
    pq.write_table(pa.table({"question": ["q", "r"], "answer": [4.0, None]}), tmp_path / "t.parquet")
    assert load_rows(str(tmp_path / "t.parquet"), bad_rows="drop")["answer"][:] == ["4"]


def test_ids_beyond_64_bits_are_text(read, tmp_path):
    read("i.jsonl", b'{"id": 99999999999999999999999, "text": "x"}\n')
    assert load_rows(str(tmp_path / "i.jsonl"))["id"][:] == ["99999999999999999999999"]


def test_labels_of_systems_without_whole_numbers_are_whole(read):
    assert [
        row["label"] for row in read("l.jsonl", b'{"text": "a", "label": 0.0}\n{"text": "b", "label": 1.0}')
    ] == [
        "0",
        "1",
    ]


def test_marks_of_tables_without_truth_values_are_read(read):
    rows = read("h.csv", b"text,heldout\na,False\nb,1\nc,\n")
    assert [row["heldout"] for row in rows] == [False, True, False]
    with pytest.raises(RowError, match=r"row h.csv:2: heldout must be true or false, got maybe"):
        read("h.csv", b"text,heldout\na,maybe\n")


def test_a_column_may_begin_late_and_change_its_type(read):
    rows = [{"text": f"t {n}"} for n in range(9000)] + [
        {"text": "x", "note": "y"},
        {"text": "z", "note": {"a": 1}},
    ]
    found = read("late.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert [row["note"] for row in found[-3:]] == [None, '"y"', '{"a": 1}']


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_format_of_saved_data_is_left_aside(tmp_path, kind):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["zeta", "alpha"])})
    rows = Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 1]}, features=features)
    rows.with_format(kind, columns=["label"]).select([2, 0]).save_to_disk(str(tmp_path / "s"))
    loaded = load_rows(str(tmp_path / "s"))
    assert loaded["text"][:] == ["c", "a"]
    assert loaded["label"][:] == ["alpha", "zeta"]
    assert facts_of(loaded.select([0])).classes == ["zeta", "alpha"]


def test_bad_rows_are_dropped_when_asked_and_counted_by_their_fault(tmp_path):
    lines = ['{"prompt": "p", "completion": "c"}', '{"prompt": "p", "completion": ""}', '{"prompt": ', "{}"]
    (tmp_path / "b.jsonl").write_text("\n".join([*lines, '{"prompt": "q", "completion": " "}']))
    rows = load_rows(str(tmp_path / "b.jsonl"), bad_rows="drop")
    assert rows["id"][:] == ["b.jsonl:1"]
    assert (
        facts_of(rows)
        .notes[0]
        .startswith("4 of 5 rows were left out (bad_rows: drop). 2: completion must be")
    )
    (tmp_path / "b.jsonl").write_text(lines[1])
    with pytest.raises(RowError, match="None of the 1 rows"):
        load_rows(str(tmp_path / "b.jsonl"), bad_rows="drop")


def test_shards_may_differ_in_the_columns_that_nothing_reads(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x", "n": 1}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "y", "n": "two", "more": {"a": 1}}\n')
    rows = load_rows(str(tmp_path))
    assert rows["n"][:] == ["1", "two"]
    assert facts_of(rows).unread == ["more", "n"]


def test_shards_of_two_kinds_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "b.jsonl").write_text('{"text": "y"}\n')
    with pytest.raises(
        RowError, match=r"one kind of rows, got prompt\+completion in a.jsonl:1; text in b.jsonl:1"
    ):
        load_rows(str(tmp_path))


def test_addresses_of_other_file_systems_are_refused_as_such():
    with pytest.raises(ConfigError, match=r"on this machine or on the hub, got zip://a.jsonl::b.zip"):
        load_rows("zip://a.jsonl::b.zip")


def test_half_of_a_surrogate_pair_is_a_bad_row_among_good_ones(tmp_path):
    (tmp_path / "s.jsonl").write_bytes(b'{"text": "a"}\n{"text": "b\\ud83d"}\n{"text": "c"}\n')
    assert load_rows(str(tmp_path / "s.jsonl"), bad_rows="drop")["id"][:] == ["s.jsonl:1", "s.jsonl:3"]


@pytest.mark.parametrize(
    ("name", "one"), [("x.jsonl", '{"text": "a"}\n'), ("x.txt", "a\n"), ("x.csv", "text\na\n")]
)
def test_byte_order_marks_inside_of_files_that_were_put_together_are_no_text(tmp_path, name, one):
    place = tmp_path / name
    second = one.removeprefix("text\n")
    place.write_text("\ufeff" + one + "\ufeff" + second, encoding="utf-8")
    assert load_rows(str(place))["text"][:] == ["a", "a"]
