"""Models to folders that plain transformers loads."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limbeck.core.errors import ModelError
from limbeck.core.files import write_folder
from limbeck.core.generation_config import exported_generation_config
from limbeck.core.models.places import quiet_transformers


def save_model(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write model and tokenizer so that plain `AutoModel*.from_pretrained(folder)` gives them back.

    LoRA adapters are merged into a copy first; the weights are safetensors. Its generation settings stop
    where limbeck's own generation does (`core.generation_config`). The folder appears whole or not at all;
    an earlier model in it is replaced.

    Args:
        model: left as it is.
        tokenizer: saved beside it; None: none.
        folder: new, empty, or an earlier model.
        dtype: of the saved weights; None: as they are.

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
    if dtype is not None and dtype != plain.dtype:
        plain = _as_dtype(plain, dtype)

    def fill(temporary: Path) -> None:
        with quiet_transformers():
            if plain.can_generate():
                plain.generation_config = exported_generation_config(plain, tokenizer)
            plain.save_pretrained(temporary)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)

    write_folder(folder, fill)
    return folder


def merged(model: nn.Module) -> PreTrainedModel:
    """The plain model with its LoRA adapters added to the weights of a copy; itself if it has none."""
    if not hasattr(model, "merge_and_unload"):
        return model
    plain = _copied(model).merge_and_unload()
    return plain.requires_grad_(True)


def _copied(model: Any) -> Any:
    for module in model.modules():
        # Some keep what they computed last (RecurrentGemma its state), and autograd's tensors refuse a copy.
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                setattr(module, name, value.detach())
    return copy.deepcopy(model)


def _as_dtype(model: Any, dtype: torch.dtype) -> Any:
    """A copy in another dtype; the training of a model that is saved between its steps goes on in its own."""
    changed = _copied(model).to(dtype)
    changed.config.dtype = dtype
    return changed
