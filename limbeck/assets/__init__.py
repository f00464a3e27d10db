"""What the package ships besides code: today one small teacher model."""

from importlib.resources import files
from pathlib import Path

from limbeck.core.errors import ModelError
from limbeck.core.lookup import unknown


def asset_names() -> list[str]:
    """The names `asset_path` knows, sorted."""
    folders = [Path(str(entry)) for entry in files(__name__).iterdir() if entry.is_dir()]
    return sorted(folder.name for folder in folders if not folder.name.startswith("_"))


def asset_path(name: str) -> Path:
    """The folder of a shipped asset, for instance `asset_path("code_teacher")`.

    Raises:
        ModelError: no asset has this name.
    """
    if name not in asset_names():
        raise ModelError(unknown("asset", name, asset_names()))
    return Path(str(files(__name__))) / name
