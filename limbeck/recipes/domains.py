"""Rows of a train step, drawn by domain."""

from pydantic import Field

from limbeck.core.config import Config


class Domains(Config):
    """Draw rows by domain, more of those where the student lags behind its teacher (DDK)."""

    column: str = "domain"
    smoothing: float = Field(default=0.5, ge=0, le=1, description="alpha: share of the gaps against uniform")
    limit: float = Field(default=5.0, gt=1, description="largest ratio of perplexities that is believed")
