"""General rows beside those of a skill, so that a student does not lose what it could."""

from limbeck.recipes.data import Data
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.steps import Load, Mix, Step

GENERAL = "general"


def mixed(
    common: Elicited,
    own: tuple[str, ...],
    general: Data | None,
    share: float,
    *,
    heldout: float = 0.0,
    chat: bool = True,
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Steps that put general rows beside each of several kinds of own ones, and the names of what they make.

    Args:
        common: inputs of the recipe.
        own: names of rows, each mixed by itself.
        general: where the general rows are; none: `own` stay as they are.
        share: of the general rows in each whole.
        heldout: general rows kept out, to evaluate on.
        chat: make conversations of them, as `own` are.
    """
    if general is None:
        return (), own
    load = Load(out=GENERAL, path=general, chat=chat, heldout=heldout, seed=common.seed)
    mixes = [
        Mix(
            out=f"{name}_and_general",
            rows=(name, f"{GENERAL}.train"),
            shares=(1 - share, share),
            seed=common.seed,
        )
        for name in own
    ]
    return (load, *mixes), tuple(one.out for one in mixes)
