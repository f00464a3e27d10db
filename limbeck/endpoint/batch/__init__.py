"""Teachers that are asked by the thousand and answer within a day, for less: the batch APIs of providers."""

from limbeck.endpoint.batch.transport import BatchTransport

__all__ = ["BatchTransport"]
