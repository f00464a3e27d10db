"""What a disk refuses is said in one sentence, whichever library was writing."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from limbeck.core.errors import ModelError, ResourceError
from limbeck.core.storage import storage_problem, storage_said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "", "a.json"), "disk must have room for a.json, got: No space left on device"),
        (OSError(errno.EDQUOT, "", "a"), "disk must have room for a, got: Disk quota exceeded"),
        (OSError(errno.EFBIG, ""), "disk must have room for what is written, got: File too large"),
        (
            OSError("[Errno 28] Error writing bytes. Detail: [errno 28] No space left"),
            "must have room",
        ),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "room",
        ),
        (
            RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
            "disk must have room for what is written, got none for a file of torch",
        ),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "must have room"),
        (PermissionError(errno.EACCES, "", "b"), "b must be open to this user, got: Permission denied"),
        (OSError(errno.EROFS, "", "b"), "b must be open to this user, got: Read-only file system"),
        (OSError(errno.EIO, "", "c"), "disk must be sound, got: Input/output error at c"),
    ],
)
def test_every_refusal_is_said(error, said):
    assert said in str(storage_problem(error))
    wrapped = ValueError("could not save")
    wrapped.__cause__ = error
    assert said in str(storage_problem(wrapped))


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), RuntimeError("shapes differ"), FileNotFoundError(errno.ENOENT, "", "d"), KeyError(28)],
)
def test_other_errors_stay_what_they_are(error):
    assert storage_problem(error) is None
    with pytest.raises(type(error)), storage_said():
        raise error


def test_an_error_of_limbeck_is_said_as_it_is():
    with pytest.raises(ModelError, match="no model"), storage_said():
        try:
            raise OSError(errno.ENOSPC, "")
        except OSError:
            raise ModelError("no model") from None


def test_a_folder_that_was_removed_is_told_from_a_missing_file(tmp_path: Path):
    error = FileNotFoundError(errno.ENOENT, "", str(tmp_path / "run" / "steps" / "a"))
    assert "must stay where it is while it is used" in str(storage_problem(error, tmp_path / "run"))
    assert storage_problem(error, tmp_path / "other_that_is_there") is not None
    (tmp_path / "there").mkdir()
    assert storage_problem(error, tmp_path / "there") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_device_is_said_for_torch_as_it_is():
    with pytest.raises(ResourceError, match="disk must have room"), storage_said():
        torch.save({"weights": torch.zeros(100_000)}, "/dev/full")
    with pytest.raises(ResourceError, match="got: No space left on device"), storage_said():
        handle = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(handle, b"1")
        finally:
            os.close(handle)
