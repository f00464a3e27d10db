"""Random numbers that depend on a seed and a purpose, never on what ran before."""

import hashlib
import random

import numpy as np


def derived_seed(seed: int, *purpose: str | int) -> int:
    """A seed of 63 bits for one purpose; different purposes give unrelated streams."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator for one purpose."""
    return np.random.default_rng(derived_seed(seed, *purpose))


def seed_everything(seed: int, *purpose: str | int) -> None:
    """Seed Python's, numpy's and torch's global generators for one purpose (dropout, fresh weights)."""
    import torch  # packing and shuffling need no torch

    value = derived_seed(seed, *purpose)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value)
