"""What kinds of model have to be told: fields that every step has that trains or measures models.

A kind declares its own in `limbeck/kinds/NAME.py`; here they become fields, so that no step names a kind.
"""

from typing import TYPE_CHECKING

from limbeck.core.config import Config
from limbeck.core.kinds import kind_settings

if TYPE_CHECKING:

    class KindSettings(Config):
        """The settings of all kinds of model."""

else:

    class KindSettings(*kind_settings(), Config):
        """The settings of all kinds of model."""
