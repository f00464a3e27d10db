"""What is known of an endpoint: its journal keeps what a probe has found."""

import json
import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

from limbeck.core.asking import Usage
from limbeck.core.errors import ConfigError
from limbeck.endpoint.capabilities import VERSION, Capabilities
from limbeck.endpoint.codec import packed, unpacked
from limbeck.endpoint.journal import Journal
from limbeck.endpoint.keys import key_of
from limbeck.endpoint.prices import price_of, read_prices
from limbeck.endpoint.probe import probe
from limbeck.endpoint.secret import read_secret
from limbeck.endpoint.settings import Endpoint
from limbeck.endpoint.spend import Most
from limbeck.endpoint.transports.openai import OpenAIManyTransport


async def probed(
    endpoint: Endpoint, *, journal: Path | None = None, again: bool = False, scope: str = ""
) -> Capabilities:
    """What an endpoint can do: as its journal says, or asked now and kept there.

    Args:
        endpoint: in OpenAI's form.
        journal: file of it; None: what was found is not kept.
        again: asks although it is known.
        scope: whose spending the calls are.

    Raises:
        ConfigError: its API has another form.
        UserError: it cannot be asked at all.
        StoreError: another process writes to the journal.
    """
    if endpoint.api != "openai":
        raise ConfigError(
            f"api of a probed endpoint must be openai, got {endpoint.api}; the other form has no fields that "
            "servers ignore. Leave the probe out."
        )
    book = None if journal is None else Journal(journal, scope=scope, durability=endpoint.durability)
    content = _content(endpoint)
    key = key_of(content)
    transport = OpenAIManyTransport(
        url=endpoint.url, model=endpoint.model, secret=read_secret(endpoint.api_key_env)
    )
    try:
        kept = None if book is None or again else book.answer(key)
        if kept is not None:
            return Capabilities.of_dict(json.loads(unpacked(kept)))
        sent = None if book is None else await book.begin(key, content, Most(0, 0, None))
        found, usage = await probe(transport, timeouts=endpoint.timeouts)
        if book is not None and sent is not None:
            body = packed(json.dumps(found.as_dict()).encode())
            await book.answered(sent, body, usage=usage, cost=_cost(endpoint, usage))
        return found
    finally:
        await transport.aclose()
        if book is not None:
            await book.aclose()


def known(endpoint: Endpoint, journal: Path) -> Capabilities | None:
    """What a journal knows of an endpoint, without asking anybody and without holding the journal."""
    if not journal.is_file():
        return None
    key = key_of(_content(endpoint))
    try:
        with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT body FROM responses WHERE key = ?", (key,)).fetchone()
    except sqlite3.Error:  # another process is making it, or it is none: said when it is opened
        return None
    return Capabilities.of_dict(json.loads(unpacked(found[0]))) if found else None


def _content(endpoint: Endpoint) -> bytes:
    """What is kept of the question; the address is part of it, unlike in requests."""
    asked = {"probe": VERSION, "url": endpoint.url, "model": endpoint.model, "label": endpoint.label}
    return json.dumps(asked, sort_keys=True).encode()


def _cost(endpoint: Endpoint, usage: Usage) -> Decimal | None:
    table = read_prices(endpoint.prices) if isinstance(endpoint.prices, Path) else endpoint.prices
    price = price_of(endpoint.model, table, on=date.today())
    return None if price is None else price.cost(usage)
