"""Readers of what a teacher writes; each says what it finds, or why it finds nothing."""

from limbeck.core.prompting.parsers.call import PARSERS, ParserCall
from limbeck.core.prompting.parsers.failed import ParseFailed

__all__ = ["PARSERS", "ParseFailed", "ParserCall"]
