"""Everything that can be wrong with a store is refused by its name."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from limbeck.core.errors import StoreError
from limbeck.signals.manifest import MANIFEST
from limbeck.signals.reader import Signals
from tests.signals.world import IDENTITY, World


@pytest.fixture
def store(tmp_path: Path) -> Path:
    World(8).capture(tmp_path / "store")
    return tmp_path / "store"


def last_shard(folder: Path) -> Path:
    return sorted(folder.glob("shard-*.arrow"))[-1]


def test_a_truncated_shard(store):
    shard = last_shard(store)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(StoreError, match=rf"{shard.name}: must have [\d,]+ bytes, got [\d,]+: it is cut off"):
        Signals(store)


def test_a_flipped_bit(store):
    shard = last_shard(store)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{shard.name}: must have the checksum of the manifest"):
        Signals(store)


def test_a_flipped_bit_in_the_codebook(store):
    book = store / "codebook.arrow"
    data = bytearray(book.read_bytes())
    data[len(data) // 2] ^= 1
    book.write_bytes(data)
    with pytest.raises(StoreError, match=r"codebook.arrow: must have the checksum"):
        Signals(store)


def test_a_missing_shard(store):
    last_shard(store).unlink()
    with pytest.raises(StoreError, match="must be there, got no file"):
        Signals(store)


def test_several_damaged_files_are_all_named(store):
    for path in sorted(store.glob("*.arrow"))[:2]:
        path.write_bytes(b"")
    with pytest.raises(StoreError) as error:
        Signals(store)
    assert len(error.value.problems) == 2


def test_a_damaged_shard_alone_is_made_anew(store):
    shard = last_shard(store)
    whole = {path.name: path.read_bytes() for path in store.glob("*.*")}
    shard.write_bytes(shard.read_bytes()[:-100])
    (store / MANIFEST).unlink()
    shard.unlink()
    world = World(8)
    world.capture(store)
    assert {path.name: path.read_bytes() for path in store.glob("*.*")} == whole
    asked = {row for batch in world.asked for line in batch for row in line}
    assert 0 < len(asked) < 8 or len(list(store.glob("shard-*"))) == 1


def changed(folder: Path, **values: object) -> None:
    """The manifest as an editor would leave it: other values, the checksum of before."""
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("found", [1, 2, 4, "3", None])
def test_another_format(store, found):
    changed(store, limbeck_signals=found)
    with pytest.raises(
        StoreError, match=rf"must have format 3, got format {found} .* another version of limbeck"
    ):
        Signals(store)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "null",
        '{"limbeck_signals": 3}',
        "[" * 100_000,
        '{"limbeck_signals": 3, "identity": {}',
    ],
)
def test_a_manifest_that_is_none(store, text):
    (store / MANIFEST).write_text(text)
    with pytest.raises(StoreError, match="must be the manifest of a store"):
        Signals(store)


def test_a_manifest_of_bytes(store):
    (store / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="must be the manifest of a store"):
        Signals(store)


def test_every_value_of_the_manifest_is_checked(store):
    whole = json.loads((store / MANIFEST).read_text())
    text = (store / MANIFEST).read_text()
    assert len(whole) == 8
    for name, value in whole.items():
        if name != "limbeck_signals":
            changed(store, **{name: value + 1 if isinstance(value, int) else None})
            with pytest.raises(StoreError, match="must have the checksum it was written with"):
                Signals(store)
            (store / MANIFEST).write_text(text)
    for name in whole["identity"]:
        changed(store, identity=whole["identity"] | {name: "other"})
        with pytest.raises(StoreError, match="must have the checksum it was written with"):
            Signals(store)
    (store / MANIFEST).write_text(json.dumps(whole))  # other spaces, the same values
    Signals(store)


def test_a_manifest_that_is_damaged_is_written_again_without_asking(store):
    whole = (store / MANIFEST).read_bytes()
    changed(store, rows=1)
    with pytest.raises(StoreError, match="delete it and run the capture again: the shards are kept"):
        Signals(store)
    (store / MANIFEST).unlink()
    world = World(8)
    world.capture(store)
    assert (store / MANIFEST).read_bytes() == whole and world.asked == []


@pytest.mark.parametrize("name", ["last", "codebook.arrow"])
@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_sizes_are_seen_without_reading_the_store(store, name, cut):
    path = last_shard(store) if name == "last" else store / name
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match=rf"{path.name}: must have [\d,]+ bytes, got [\d,]+: it is cut off"):
        Signals(store, verify=False)


@pytest.mark.parametrize("payload", ["topk", "hidden"])
def test_damage_that_keeps_the_size_is_named_whatever_it_breaks(payload, tmp_path):
    World(4).capture(tmp_path, payload=payload)
    for path in tmp_path.glob("*.[as]*"):
        whole = path.read_bytes()
        for start in (0, len(whole) // 3, len(whole) - 40):
            path.write_bytes(whole[:start] + b"\x7f" * 40 + whole[start + 40 :])
            with pytest.raises(StoreError):
                Signals(tmp_path)
            with contextlib.suppress(StoreError):  # some damage is only seen by the checksum
                Signals(tmp_path, verify=False)
        path.write_bytes(whole)


def test_a_file_that_was_put_beside_the_tokenizer(store):
    (store / "tokenizer").mkdir(exist_ok=True)
    (store / "tokenizer" / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(StoreError, match=r"chat_template\.jinja: must not be there"):
        Signals(store)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", ["last", "codebook.arrow", "begun.json"])
def test_what_is_damaged_in_an_unfinished_store_is_made_anew(store, name, flip):
    whole = {path.name: path.read_bytes() for path in store.glob("*.*")}
    identity = json.loads((store / MANIFEST).read_text())["identity"]
    (store / MANIFEST).unlink()
    (store / "begun.json").write_text(json.dumps(identity))
    path = last_shard(store) if name == "last" else store / name
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        data[:middle] + bytes([data[middle] ^ 64]) + data[middle + 1 :] if flip else data[:middle]
    )
    if flip and name == "begun.json":
        with contextlib.suppress(StoreError):  # it may say another capture now: then it is refused
            World(8).capture(store)
        return
    World(8).capture(store)
    assert {path.name: path.read_bytes() for path in store.glob("*.*")} == whole


def test_a_folder_that_is_no_store(tmp_path):
    with pytest.raises(StoreError, match=r"without one\. Name the folder of a capture"):
        Signals(tmp_path)
    with pytest.raises(StoreError, match="which does not exist"):
        Signals(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("weights", "w1", "other files of the teacher"),
        ("version", 2, "another version of the capture"),
        ("tokenizer", "t1", "another tokenizer"),
        ("template", "c1", "another chat template"),
        ("data", "d1", "other data"),
        (
            "rendering",
            {"max_length": 99},
            r"other choices in rendering .*max_length 48 there, max_length 99",
        ),
        ("shard_tokens", 128, "shards of another size"),
    ],
)
@pytest.mark.parametrize("is_finished", [True, False])
def test_a_capture_does_not_go_on_with_something_else(store, field, value, said, is_finished):
    if not is_finished:
        manifest = json.loads((store / MANIFEST).read_text())
        (store / MANIFEST).unlink()
        (store / "begun.json").write_text(json.dumps(manifest["identity"]))
    with pytest.raises(StoreError, match=f"must be of the same capture, got .*{said}"):
        World(8).capture(store, **{field: value})


def test_another_payload(store):
    with pytest.raises(StoreError, match="another payload"):
        World(8).capture(store, payload="hidden")


def test_a_folder_with_other_files_is_not_written_to(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match=r"holds other files \(thesis.tex\)"):
        World(8).capture(tmp_path)


def test_a_payload_of_hidden_states_needs_a_linear_head(tmp_path):
    world = World(8)
    world.teacher.reader.projects = False
    with pytest.raises(StoreError, match="must be topk for a teacher whose head is more than one linear"):
        world.capture(tmp_path, payload="hidden")
    world.capture(tmp_path / "other")


def test_rows_are_checked_before_anything_is_trained(store):
    signals = Signals(store)
    rows = [("0", signals._checksum("0")), ("1", signals._checksum("1"))]
    signals.check(IDENTITY, rows)
    with pytest.raises(StoreError, match=r"got 1 that are not in it of 3 \(new\); .* other data"):
        signals.check(IDENTITY, [*rows, ("new", 1)])
    other = replace(IDENTITY, template="c1")
    with pytest.raises(StoreError, match=r"1 with other tokens of 2 \(1\); .* another chat template"):
        signals.check(other, [rows[0], ("1", 1)])
    other = replace(IDENTITY, tokenizer="t1")
    with pytest.raises(StoreError, match="another tokenizer"):
        signals.check(other, [("0", 1)])
