"""ALM: a student with another tokenizer learns how likely the teacher finds each chunk of the text.

Minixhofer, Vulic and Ponti 2025, arXiv:2503.20083; code in bminixhofer/tokenkit (`training/losses.py`,
`configs/`, `docs/`). Defaults from there: temperature 100, chunks merged below a word's end of
0.1, outcome chunk debiasing, no cross-entropy ("pure"). Departures:

- the binary divergence is the KL, not the cross-entropy (equal gradients, and 0 when equal);
- the mean runs over the chunks of a whole optimizer step; the released code counts merged ones twice;
- learning rate, batch and length are ours; the paper: 1e-5, batch 64, 512 tokens, 20,000 steps, LoRA
  of rank 64; for bytes 3e-5, batch 32, 2,048 bytes, the whole model;
- for bytes the paper also adds embeddings of subwords to those of bytes, which needs another model
  class; here the student stays a plain transformers model.
"""

from typing import Any

from limbeck.recipes.alignment import Alignment
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Layers, Term


@compared()
def alm(
    common: Comparison,
    *,
    temperature: float = 100.0,
    distance: str = "binary_kl",
    threshold: Share = 0.1,
    debias: bool = True,
    cross_entropy: bool = False,
    states: bool = False,
    balanced: bool = True,
) -> Recipe:
    """Likelihoods of chunks that both tokenizers bound; the student may have any tokenizer, or read bytes.

    `student={model: TEACHER, tokenizer: DIR}` moves the teacher to another tokenizer, with
    `tokenizer: bytes` to bytes. Beside `cross_entropy` or `states` (last hidden states at the ends of
    chunks, for students of the teacher's width) the terms are balanced by the size of their gradients,
    or else count as they are. `threshold=0 debias=false` takes every chunk by itself, which suits text
    with few spaces (code).

    Args:
        temperature: softens the two likelihoods of a chunk.
        distance: between the teacher's and the student's likelihood of a chunk; as in the objective alm.
        threshold: a chunk ends where the teacher gives a new word more than this; 0 ends one at every
            common boundary.
        debias: count in a chunk's likelihood that a word ends there.
        cross_entropy: also train on the data with cross-entropy.
        states: also match the last hidden states at the ends of chunks; the student must have the
            teacher's width.
        balanced: weigh several terms by the size of their gradients; false adds them as they are.
    """
    terms = [Term(name="alm", options={"temperature": temperature, "distance": distance})]
    if cross_entropy:
        terms.append(Term(name="cross_entropy"))
    if states:
        terms.append(Term(name="chunk_state_mse", layers=Layers(student=(-1,), teacher=(-1,))))
    weighing: dict[str, Any] = {"balance": "gradient_magnitude"} if balanced and len(terms) > 1 else {}
    alignment = Alignment(threshold=threshold, debias=debias)
    return common.recipe("alm", tuple(terms), alignment=alignment, **weighing)
