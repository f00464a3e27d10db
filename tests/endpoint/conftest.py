"""Servers that tests of endpoints share."""

from tests.endpoint.llama_server import llama_server

__all__ = ["llama_server"]
