"""What is asked of a teacher that writes, and what comes back: an operator knows no more of it than this."""

from limbeck.core.asking.ask import Ask
from limbeck.core.asking.failure import Failure, FailureClass, Paused, RequestFailed
from limbeck.core.asking.reply import Candidate, Reply, TokenScores, ToolCall, Usage
from limbeck.core.asking.request import Request, Turn

__all__ = [
    "Ask",
    "Candidate",
    "Failure",
    "FailureClass",
    "Paused",
    "Reply",
    "Request",
    "RequestFailed",
    "TokenScores",
    "ToolCall",
    "Turn",
    "Usage",
]
