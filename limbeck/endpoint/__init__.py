"""Reaching teachers behind a wire: what is asked, kept, paid for and tried again."""

from limbeck.endpoint.engine import Engine, Spending
from limbeck.endpoint.forecast import Forecast, forecast
from limbeck.endpoint.mapping import Mapped
from limbeck.endpoint.reader import JournalReader, reading
from limbeck.endpoint.settings import Budget, Endpoint, Timeouts
from limbeck.endpoint.spend import Spend
from limbeck.endpoint.transport import Answer, ManyTransport, Transport

__all__ = [
    "Answer",
    "Budget",
    "Endpoint",
    "Engine",
    "Forecast",
    "JournalReader",
    "ManyTransport",
    "Mapped",
    "Spend",
    "Spending",
    "Timeouts",
    "Transport",
    "forecast",
    "reading",
]
