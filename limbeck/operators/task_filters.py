"""Tasks that a model of text cannot do, or that are none."""

import re
import string

_UNSEEN = re.compile(
    r"\b(image|images|graph|graphs|picture|pictures|file|files|map|maps|draw|plot|go to)\b",
    flags=re.IGNORECASE,
)


def unfit_for_text(task: str) -> tuple[str, str] | None:
    """Why a task is not taken, as a reason and a sentence; None: it is.

    Source:
        yizhongw/self-instruct, `self_instruct/bootstrap_instructions.py:post_process_gpt3_response`.

    Example:
        >>> unfit_for_text("Draw a map of the city.")
        ('needs_more_than_text', "it says 'Draw'")
        >>> unfit_for_text("Sum the numbers from one to ten.")
    """
    words = len(task.split())
    if words <= 3 or words > 150:
        return "words", f"it has {words} words, not 4 to 150"
    if found := _UNSEEN.search(task):
        return "needs_more_than_text", f"it says '{found.group(0)}'"
    if task.startswith("Write a program"):
        return "program", "it begins with 'Write a program'"
    if task[0] in string.punctuation or not task[0].isascii():
        return "first_letter", f"it begins with {task[0]!r}"
    return None
