"""Models and tokenizers from a folder or the hub, and back: loaded quietly, checked, counted."""

import copy
import difflib
import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from huggingface_hub import hf_hub_download
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from limbeck.core.class_names import are_unnamed, folded, listed, name_classes, own_class_names, same_classes
from limbeck.core.errors import ModelError
from limbeck.core.files import hash_file, write_folder
from limbeck.core.fingerprint import fingerprint
from limbeck.core.generation_config import exported_generation_config, read_generation_config

ModelKind = Literal["causal", "seq2seq", "encoder", "classifier"]
"""What a model is used as; decides which of transformers' Auto classes loads it."""

DtypeName = Literal["auto", "float32", "bfloat16"]

_AUTO: dict[str, Any] = {
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "encoder": AutoModel,
    "classifier": AutoModelForSequenceClassification,
}
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")
_HASHED_WHOLE = 64 * 2**20  # bytes; a larger file is sampled
_SAMPLES, _SAMPLE_BYTES = 256, 4096  # evenly spread: any training step touches nearly every weight
_NAMED = 3  # tensors named in a message

log = logging.getLogger("limbeck")


def read_config(path_or_id: str | Path) -> PreTrainedConfig:
    """The configuration of a model, without its weights: the cheap check that there is one.

    Raises:
        ModelError: a folder that holds no model, a missing folder, an id that the hub does not
            give; says what was looked for and which folders are near by.
    """
    _check_place(path_or_id)
    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(str(path_or_id))
    except (OSError, ValueError) as error:
        raise ModelError(_unreadable(path_or_id, error)) from error


def load_model(
    path_or_id: str | Path,
    kind: ModelKind,
    *,
    dtype: DtypeName = "float32",
    num_labels: int | None = None,
    label_names: Sequence[str] | None = None,
    attn_implementation: str | None = None,
) -> PreTrainedModel:
    """A pretrained model, in eval mode, with every weight either found or reported.

    A classifier's head that the folder lacks is initialised afresh and logged to `limbeck`
    (seed before, to repeat it); so is an encoder's pooler. Anything else that lacks is an error.

    Args:
        path_or_id: folder with a config.json, or an id on the hub.
        kind: what the model is used as.
        dtype: of the weights; `auto` takes the dtype they were saved in.
        num_labels: classes of a classifier; None takes the folder's.
        label_names: names of the classes, in order; sets `num_labels`. A tuned head keeps its
            own names and their order: those of its scores; they must be these, case aside.
        attn_implementation: as in transformers; None takes its default.

    Raises:
        ModelError: no such model, not of this kind, or its head has other classes.
    """
    _check_kind(kind)
    config = read_config(path_or_id)
    if kind == "classifier":
        _set_labels(config, num_labels, label_names, path_or_id)
    elif num_labels is not None or label_names is not None:
        raise ModelError(f"kind must be 'classifier' to have labels, got '{kind}'. Leave the labels out.")
    options = {} if attn_implementation is None else {"attn_implementation": attn_implementation}
    try:
        with quiet_transformers():
            model, report = _AUTO[kind].from_pretrained(
                str(path_or_id),
                config=config,
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                generation_config=read_generation_config(path_or_id),
                ignore_mismatched_sizes=True,  # reported below, with names and sizes
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError) as error:
        raise ModelError(_unreadable(path_or_id, error, f" as a {kind} model")) from error
    _check_complete(model, report, kind, path_or_id)
    return model


def load_tokenizer(path_or_id: str | Path) -> PreTrainedTokenizerBase:
    """A tokenizer that can pad: where it has no pad token, the end token pads.

    Raises:
        ModelError: no tokenizer there, or one with neither a pad nor an end token.
    """
    _check_place(path_or_id, needs_config=False)
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(str(path_or_id))
    except (OSError, ValueError) as error:
        raise ModelError(_unreadable(path_or_id, error, " as a tokenizer", "tokenizer.json")) from error
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"tokenizer must have a pad token or an end token, got neither in {path_or_id}. "
                "Set pad_token in its tokenizer_config.json."
            )
        tokenizer.pad_token = tokenizer.eos_token
        log.debug("%s has no pad token: %r pads", path_or_id, tokenizer.eos_token)
    return tokenizer


def save_model(model: nn.Module, tokenizer: PreTrainedTokenizerBase | None, folder: str | Path) -> Path:
    """Write model and tokenizer so that plain `AutoModel*.from_pretrained(folder)` gives them back.

    LoRA adapters are merged into a copy first; the weights are safetensors. Its generation settings stop
    where limbeck's own generation does (`core.generation_config`). The folder appears whole or not at all;
    an earlier model in it is replaced.

    Raises:
        ModelError: the folder holds something that is no model.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "config.json").exists():
        raise ModelError(
            f"folder must be new, empty or an earlier model, got {folder}, which holds other files and would "
            "be replaced. Choose another name."
        )
    plain = merged(model)

    def fill(temporary: Path) -> None:
        with quiet_transformers():
            if plain.can_generate():
                plain.generation_config = exported_generation_config(plain.generation_config, tokenizer)
            plain.save_pretrained(temporary)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)

    write_folder(folder, fill)
    return folder


def merged(model: nn.Module) -> PreTrainedModel:
    """The plain model with its LoRA adapters added to the weights of a copy; itself if it has none."""
    if not hasattr(model, "merge_and_unload"):
        return model
    plain = copy.deepcopy(model).merge_and_unload()  # type: ignore[operator]
    return plain.requires_grad_(True)


def count_parameters(model: nn.Module) -> int:
    """Number of weights; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def estimate_parameters(config: PreTrainedConfig, kind: ModelKind) -> int:
    """`count_parameters` of the model that `config` describes, without its memory."""
    _check_kind(kind)
    with torch.device("meta"), quiet_transformers():
        return count_parameters(_AUTO[kind].from_config(config))


def fresh_model(config: PreTrainedConfig, kind: ModelKind) -> PreTrainedModel:
    """The model that `config` describes with random weights, from torch's global generator."""
    _check_kind(kind)
    with quiet_transformers():
        return _AUTO[kind].from_config(config)


def kind_of(config: PreTrainedConfig) -> ModelKind:
    """What a saved model was used as, from the class named in its configuration.

    Raises:
        ModelError: the configuration names no class, or one of another use.
    """
    names = config.architectures or []
    for name in names:
        if name.endswith("ForSequenceClassification"):
            return "classifier"
        if name.endswith(("ForConditionalGeneration", "ForSeq2SeqLM")) and config.is_encoder_decoder:
            return "seq2seq"
        if name.endswith(("ForCausalLM", "LMHeadModel")):
            return "causal"
        if name.endswith("Model"):
            return "encoder"
    raise ModelError(
        f"kind of a model must be told from the class it was saved as, got {', '.join(names) or 'no class'}. "
        f"Name one of {', '.join(get_args(ModelKind))}."
    )


def model_fingerprint(path_or_id: str | Path) -> str:
    """A short hash that changes with the weights or the configuration of a model.

    For a folder: names and sizes of config.json and the weight files, the bytes of files up to
    64 MiB, and of larger ones the safetensors header (names, dtypes, shapes) with 256 samples of
    4 KiB spread evenly; training moves nearly every weight, but an edit of a few bytes between
    samples goes unseen. For an id on the hub: the id and the commit.
    """
    _check_place(path_or_id)
    folder = Path(path_or_id)
    if not folder.is_dir():
        try:
            commit = Path(hf_hub_download(str(path_or_id), "config.json")).parent.name
        except OSError as error:
            raise ModelError(_unreadable(path_or_id, error)) from error
        return fingerprint({"id": str(path_or_id), "commit": commit})
    files = [folder / "config.json", *sorted(file for pattern in _WEIGHTS for file in folder.glob(pattern))]
    return fingerprint({file.name: [file.stat().st_size, _digest(file)] for file in files})


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no loading reports of transformers; its settings come back afterwards."""
    verbosity, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars:
            hf_logging.enable_progress_bar()


def _digest(file: Path) -> str:
    size = file.stat().st_size
    if size <= _HASHED_WHOLE:
        return hash_file(file)
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        if file.suffix == ".safetensors":
            digest.update(stream.read(int.from_bytes(stream.read(8), "little")))
        for sample in range(_SAMPLES):
            stream.seek(sample * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _check_kind(kind: str) -> None:
    if kind not in _AUTO:
        raise ModelError(f"kind must be one of {', '.join(get_args(ModelKind))}, got '{kind}'.")


def _check_place(path_or_id: str | Path, *, needs_config: bool = True) -> None:
    """Refuse what can be seen to be no model without asking the hub."""
    path = Path(path_or_id).expanduser()
    if path.is_dir():
        if not needs_config or (path / "config.json").is_file():
            return
        if (path / "adapter_config.json").is_file():
            raise ModelError(
                f"model must be a folder with a config.json, got {path}, which holds LoRA adapters only. "
                "Merge them into their base model and save that."
            )
        raise ModelError(
            f"model must be a folder with a config.json, got {path}, which has none."
            + _near(path, inside=True)
        )
    if path.is_file():
        raise ModelError(f"model must be a folder with a config.json, got the file {path}. Name its folder.")
    text = str(path_or_id)
    if isinstance(path_or_id, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1:
        raise ModelError(
            f"model must be an existing folder with a config.json, got {path_or_id}, which does not exist."
            + _near(path, inside=False)
        )


def _near(path: Path, *, inside: bool) -> str:
    place = path if inside else path.parent
    folders = sorted(entry.name for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else []
    models = [name for name in folders if (place / name / "config.json").is_file()]
    if not inside:
        models = difflib.get_close_matches(path.name, models, n=1) or models
    if not models:
        return f" There is no model folder in {place} either."
    listed = ", ".join(str(place / name) for name in models[:_NAMED])
    return f" Did you mean {listed}?"


def _unreadable(path_or_id: str | Path, error: Exception, role: str = "", file: str = "config.json") -> str:
    first_line = str(error).strip().split("\n")[0]
    if Path(path_or_id).is_dir():
        return f"{path_or_id} cannot be read{role}: {first_line}"
    near = _near(Path(path_or_id), inside=False)
    return (
        f"model must be a folder with a {file} or an id on the hub, got '{path_or_id}': there is no such "
        f"folder, and the hub did not give {file}{role} ({first_line}).{near}"
    )


def _set_labels(
    config: PreTrainedConfig, num_labels: int | None, names: Sequence[str] | None, place: str | Path
) -> None:
    if names is not None:
        if num_labels not in (None, len(names)):
            raise ModelError(
                f"num_labels must equal the number of label_names, {len(names)}, got {num_labels}."
            )
        own = own_class_names(config)
        if own and not (same_classes(own, names) or set(map(folded, own)) == set(map(folded, names))):
            raise ModelError(
                f"classes must be {listed(own)} for {place}, whose head was tuned on them, got "
                f"{listed(names)}. Start from a model without a class head."
            )
        if not own or are_unnamed(own):
            name_classes(config, names)
    elif num_labels is not None and num_labels != config.num_labels:
        config.num_labels = num_labels
    text = config.get_text_config()
    if text.pad_token_id is None and getattr(text, "eos_token_id", None) is not None:
        # A causal model reads its class at the last token that is no padding; `load_tokenizer` pads with eos.
        end = text.eos_token_id
        text.pad_token_id = end[0] if isinstance(end, list) else end


def _check_complete(model: Any, report: Any, kind: ModelKind, path_or_id: str | Path) -> None:
    if report["mismatched_keys"]:
        name, found, wanted = next(iter(report["mismatched_keys"]))
        raise ModelError(
            f"weights of {path_or_id} must fit its configuration, got {name} of shape {tuple(found)} where "
            f"{tuple(wanted)} is needed. For a classifier, leave num_labels and label_names to the folder, "
            "or start from a model without a head."
        )
    missing = sorted(report["missing_keys"])
    if not missing:
        return
    prefix = f"{model.base_model_prefix}."
    has_head = model.base_model is not model
    head = [key for key in missing if has_head and not key.startswith(prefix)] if kind == "classifier" else []
    fresh = [*head, *(key for key in missing if "pooler." in key and key not in head)]
    lacking = [key for key in missing if key not in fresh]
    if lacking:
        listed = ", ".join(lacking[:_NAMED]) + (
            f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        )
        raise ModelError(
            f"model must hold all weights of {type(model).__name__}, got {path_or_id} without {listed}. "
            f"Choose the kind it was saved as instead of '{kind}', or another folder."
        )
    log.info("%s: initialised afresh, to be trained: %s", path_or_id, ", ".join(fresh))
