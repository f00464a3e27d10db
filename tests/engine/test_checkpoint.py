"""A training goes on from a whole checkpoint of the same training, or says why it does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from limbeck.core.errors import RunFolderError
from limbeck.engine import Party, StepReport, train
from tests.engine.world import Rows, student_party


class StoppedError(Exception):
    """What ends a training between two steps, like a kill."""


def trained(folder: Path, *, rows: Rows | None = None, until: int = 3) -> Party:
    """Three steps with a checkpoint after each; fewer where it is stopped."""
    party = student_party(save_steps=1, dropout=0.1)

    def stop(report: StepReport) -> None:
        if report.step == until + 1:
            raise StoppedError

    train([party], rows or Rows(), folder=folder, on_step=stop)
    return party


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """A training stopped after two of three steps, and the weights of a whole one."""
    folder = tmp_path_factory.mktemp("checkpoints")
    whole = trained(folder / "whole").model.state_dict()
    with pytest.raises(StoppedError):
        trained(folder / "cut", until=2)
    return folder / "cut", whole


@pytest.fixture
def cut(world, tmp_path: Path) -> Path:
    shutil.copytree(world[0], tmp_path / "cut")
    return tmp_path / "cut"


def assert_right(party: Party, world: tuple[Path, dict[str, torch.Tensor]], folder: Path) -> None:
    assert all(torch.equal(value, party.model.state_dict()[name]) for name, value in world[1].items())
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_it_goes_on(world, cut):
    assert_right(trained(cut), world, cut)


@pytest.mark.parametrize("damage", [flip, cut_off, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["optimizer.bin", "pytorch_model.bin", "random_states_0.pkl"])
def test_a_damaged_file_is_named_and_never_trained_on(world, cut, name, damage: Callable[[Path], None]):
    damage(cut / "checkpoint" / name)
    with pytest.raises(RunFolderError, match=rf"damage in {name} \((missing|changed)\)\. .*delete"):
        trained(cut)
    shutil.rmtree(cut / "checkpoint")  # as it is told
    assert_right(trained(cut), world, cut)


DAMAGED = [b"", b"{}", b"[]", b"\xff\x00", b'{"done": 2', b"null"]


@pytest.mark.parametrize("content", [*DAMAGED, None])
def test_a_checkpoint_without_its_record_was_not_finished(world, cut, content, caplog):
    path = cut / "checkpoint" / "training.json"
    if content is None:
        text = path.read_text()
        path.write_text(text.replace('"done": 2', '"done": 1'))
        assert path.read_text() != text
    else:
        path.write_bytes(content)
    assert_right(trained(cut), world, cut)
    assert "training.json is missing or damaged: the training starts again" in caplog.text


TAILS = [b'{"step": 2, "lo', b"\xff\xfe\x00", b"\n\n", b'[1]\n{"step": "x"}\n', b"[" * 9999]


@pytest.mark.parametrize("tail", TAILS)
def test_the_tail_of_the_metrics_may_be_torn(world, cut, tail):
    with (cut / "metrics.jsonl").open("ab") as file:
        file.write(tail)
    assert_right(trained(cut), world, cut)


def test_other_rows_in_the_same_number_are_refused(cut):
    rows = Rows()
    rows.ids[0], rows.ids[1] = rows.ids[1], rows.ids[0]
    with pytest.raises(RunFolderError, match=r"the same training, got source .* where it has source"):
        trained(cut, rows=rows)
