"""What names the rows of a recipe."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def _one_place(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    raise ValueError(
        f"must be one file, folder, pattern or hub id, got a list of {len(value)}. Put the files into one "
        "folder and name that, or write a pattern such as 'data/*.jsonl'; from Python, join the rows first "
        "(datasets.concatenate_datasets, or one list of dicts)."
    )


Data = Annotated[str, BeforeValidator(_one_place)]
"""A file, a folder, a pattern, a hub id or the word `standard_library`."""
