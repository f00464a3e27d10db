"""The surroundings of a command: other libraries are quiet, threads do not fight over cores."""

import logging
import os
import warnings

from limbeck.cli.errors import debugging

_LOGGERS = (
    "transformers",
    "datasets",
    "huggingface_hub",
    "accelerate",
    "torch",
    "peft",
    "fsspec",
    "filelock",
)


def silence() -> None:
    """Call before torch and transformers are imported."""
    # Threads that spin while they wait starve each other as soon as anything else runs. On two cores:
    # 2.1 times the speed of OMP_WAIT_POLICY=ACTIVE beside one busy process, but about 15 % slower than
    # the default when alone (docs/log.md). Set the variable to choose otherwise.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_SYMLINKS_WARNING", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if not debugging():
        warnings.filterwarnings("ignore")
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
