"""Prompts as data: templates filled from rows, parsers of the answers, and what the student reads instead."""

from limbeck.core.prompting.checks import Fills, prompt_problems, prompts_named
from limbeck.core.prompting.file import SHIPPED, prompt_path, shipped_prompts
from limbeck.core.prompting.parsers import ParseFailed
from limbeck.core.prompting.prompt import Drawing, Prompt, load_prompt
from limbeck.core.prompting.template import PromptError

__all__ = [
    "SHIPPED",
    "Drawing",
    "Fills",
    "ParseFailed",
    "Prompt",
    "PromptError",
    "load_prompt",
    "prompt_path",
    "prompt_problems",
    "prompts_named",
    "shipped_prompts",
]
