"""The teacher store: what a teacher says about rows, asked once, kept small, read by many trainings.

`docs/signals.md` describes the files; they are Arrow and JSON and need no limbeck to be read. What
recipes say is here; what needs torch is in `capture`, `reader` and `rehearse`.
"""

from limbeck.signals.payload import HiddenPayload, Payload, TopKPayload

__all__ = ["HiddenPayload", "Payload", "TopKPayload"]
