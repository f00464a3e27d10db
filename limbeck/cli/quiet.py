"""Other libraries' bars and warnings stay off the terminal; limbeck has its own."""

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
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_SYMLINKS_WARNING", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if not debugging():
        warnings.filterwarnings("ignore")
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
