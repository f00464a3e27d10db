"""Foreign code at work in a process of its own that can touch nothing but its scratch folder."""

from limbeck.gates.sandbox.run import Isolation, Limits, Outcome, check_isolation, guarded, lacking

__all__ = ["Isolation", "Limits", "Outcome", "check_isolation", "guarded", "lacking"]
