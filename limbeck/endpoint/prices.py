"""What a provider bills: a table of prices, and the cost of a call by it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BeforeValidator, Field

from limbeck.core.asking import Usage
from limbeck.core.config import Config, validate
from limbeck.core.errors import ConfigError

# 0.1 as it is written, not the nearest binary fraction.
Amount = Annotated[Decimal, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)]


class Price(Config):
    """What the tokens of one family of models cost.

    Attributes:
        model: pattern of names that it holds for, such as `gpt-5-mini*`.
        input: of `per` tokens that are read.
        cached: the same of those the server had read before; None: as `input`.
        stored: the same of those it keeps to read them for less later (Anthropic: 1.25 times `input`);
            None: as `input`.
        output: of `per` tokens that are written.
        reasoning: the same of those that are thoughts; None: as `output`.
        batch: share that a batch API bills, 0.5 for half.
        per: how many tokens a price is for.
        currency: as three letters.
        valid_from: first day; of several that match, the latest holds.
        source: where the price was read.
    """

    model: str
    input: Amount = Field(ge=0)
    cached: Amount | None = Field(default=None, ge=0)
    stored: Amount | None = Field(default=None, ge=0)
    output: Amount = Field(ge=0)
    reasoning: Amount | None = Field(default=None, ge=0)
    batch: Amount = Field(default=Decimal(1), ge=0, le=1)
    per: int = Field(default=1_000_000, ge=1)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    valid_from: date | None = None
    source: str = ""

    def cost(self, usage: Usage, *, batched: bool = False) -> Decimal:
        """What a call costs, in the currency of the price, exactly.

        Example:
            >>> from limbeck.core.asking import Usage
            >>> price = Price(model="m", input=2, cached="0.5", output=8)
            >>> price.cost(Usage(prompt=1000, cached=400, completion=100))  # 600 at 2, 400 at 0.5, 100 at 8
            Decimal('0.0022')
            >>> dear = Price(model="m", input=4, stored=5, output=20)
            >>> dear.cost(Usage(prompt=1000, stored=400, completion=0))  # 600 at 4, 400 at 5
            Decimal('0.0044')
        """
        cached = self.input if self.cached is None else self.cached
        reasoning = self.output if self.reasoning is None else self.reasoning
        total = (
            (usage.prompt - usage.cached - usage.stored) * self.input
            + usage.cached * cached
            + usage.stored * (self.input if self.stored is None else self.stored)
            + (usage.completion - usage.reasoning) * self.output
            + usage.reasoning * reasoning
        ) / self.per
        return (total * self.batch if batched else total).normalize()

    def most(self, prompt: int, completion: int) -> Decimal:
        """The most that a call of so many tokens can cost."""
        read = max(self.input, self.stored or self.input)
        written = max(self.output, self.output if self.reasoning is None else self.reasoning)
        return (prompt * read + completion * written) / self.per


def price_of(model: str, prices: Sequence[Price], *, on: date) -> Price | None:
    """The price of a model on a day; None where the table has none.

    Example:
        >>> old = Price(model="m-*", input=1, output=2)
        >>> new = Price(model="m-*", input=3, output=4, valid_from="2026-07-01")
        >>> price_of("m-small", [old, new], on=date(2026, 6, 30)) == old
        True
        >>> price_of("m-small", [old, new], on=date(2026, 7, 1)) == new
        True
    """
    fitting = [
        price
        for price in prices
        if fnmatchcase(model, price.model) and (price.valid_from is None or price.valid_from <= on)
    ]
    return max(fitting, key=lambda price: price.valid_from or date.min, default=None)


def price_table(prices: Path | tuple[Price, ...]) -> tuple[Price, ...]:
    """A table as an endpoint has it: itself, or a file with it."""
    return read_prices(prices) if isinstance(prices, Path) else prices


def read_prices(path: Path) -> tuple[Price, ...]:
    """A price table from a YAML or JSON file: a list of prices.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    try:
        # Every number as it is written: a price is never a binary fraction.
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise ConfigError(f"prices must be a file that can be read, got {path} ({error.strerror}).") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"prices must be a YAML or JSON file, got {path}: {error}") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ConfigError(
            f"prices must be a list of prices, got something else in {path}. Write "
            "`- {model: NAME, input: 2.50, output: 10}` for each family of models."
        )
    return tuple(validate(Price, row, f"prices.{number}") for number, row in enumerate(found))
