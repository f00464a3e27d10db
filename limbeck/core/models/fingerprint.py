"""Short hashes that change with the weights or the configuration of a model."""

import hashlib
from pathlib import Path

from huggingface_hub import hf_hub_download

from limbeck.core.errors import ModelError
from limbeck.core.files import hash_file
from limbeck.core.fingerprint import fingerprint
from limbeck.core.model_words import model_word
from limbeck.core.models.places import check_place, source_of, unreadable

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")
HASHED_WHOLE = 64 * 2**20  # bytes; a larger file is sampled
SAMPLES, SAMPLE_BYTES = 256, 4096  # evenly spread: any training step touches nearly every weight


def model_fingerprint(path_or_id: str | Path) -> str:
    """A short hash that changes with the weights or the configuration of a model.

    For a folder: names and sizes of config.json and the weight files, the bytes of files up to
    64 MiB, and of larger ones the safetensors header (names, dtypes, shapes) with 256 samples of
    4 KiB spread evenly; training moves nearly every weight, but an edit of a few bytes between
    samples goes unseen. For an id on the hub: the id and the commit.
    """
    word = model_word(path_or_id)
    check_place(word)
    folder = Path(source_of(word))
    if not folder.is_dir():
        name = word.gguf_file or "config.json"
        try:
            commit = Path(hf_hub_download(word.place, name, revision=word.revision or None)).parent.name
        except OSError as error:
            raise ModelError(unreadable(word, error)) from error
        return fingerprint({"id": word.place, "commit": commit})
    named = ("config.json", *_WEIGHTS) if not word.gguf_file else (word.gguf_file,)
    files = sorted(file for pattern in named for file in folder.glob(pattern))
    return fingerprint({file.name: [file.stat().st_size, _digest(file)] for file in files})


def _digest(file: Path) -> str:
    size = file.stat().st_size
    if size <= HASHED_WHOLE:
        return hash_file(file)
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        if file.suffix == ".safetensors":
            digest.update(stream.read(int.from_bytes(stream.read(8), "little")))
        for sample in range(SAMPLES):
            stream.seek(sample * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()
