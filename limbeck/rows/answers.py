"""Where the assistant's turns begin and end in what a chat template writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import TYPE_CHECKING

from limbeck.core.template import TemplateError, applied
from limbeck.rows.marks import THOUGHT_BEGINS, THOUGHT_ENDS, marks_of
from limbeck.rows.turns import Turn, bare, occurs, reasoning_of, texts_of, thought_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBES = ("Qx0", "Zj9")
"""Contents that begin and end with different letters, and that no template writes by itself."""


@dataclass(frozen=True)
class Answer:
    """A turn of the assistant as the last of its conversation.

    Attributes:
        place: of the turn.
        text: the conversation up to the turn's end.
        start: where the model begins to write.
        end: behind the mark that ends the turn.
        words: what the turn says, without spaces around.
        is_ended: whether a mark ends it.
        finished: False where its writer was stopped.
    """

    place: int
    text: str
    start: int
    end: int
    words: str
    is_ended: bool
    finished: bool = True

    @property
    def upto(self) -> str:
        """The conversation up to the mark that ends the turn."""
        return self.text[: self.end]


@dataclass
class Answers:
    """The assistant's turns of one conversation; each is rendered when it is asked for."""

    turns: Sequence[Turn]
    tokenizer: "PreTrainedTokenizerBase"
    tools: str | None
    finished: bool = True
    opens: bool = False
    _found: dict[int, Answer] = field(default_factory=dict)

    def __getitem__(self, place: int) -> Answer:
        """The assistant's turn at a place.

        Raises:
            TemplateError: the template refuses the turns before it, or leaves out what it says.
        """
        if place not in self._found:
            is_last = all(turn["role"] != "assistant" for turn in self.turns[place + 1 :])
            make = self._written if self.finished or not is_last else self._unfinished
            self._found[place] = make(place)
        return self._found[place]

    def prompt(self, place: int) -> str:
        """What the model reads before it writes the turn at a place."""
        return applied(self.turns[:place], self.tokenizer, self.tools, add_generation_prompt=True)

    def header(self, place: int) -> str:
        """What a template writes before the content of an assistant's turn, found by writing other ones."""
        return _common(self._probed(place))

    def whole_from(self, answer: Answer) -> str:
        """The whole conversation, where the template writes the answer in it as it does at its end."""
        if answer.place == len(self.turns) - 1:
            return answer.text
        whole = applied(self.turns, self.tokenizer, self.tools)
        return whole if answer.finished and whole.startswith(answer.upto) else answer.text

    def as_seen(self, place: int) -> tuple[str, int]:
        """The conversation up to the turn's end, as the model sees it when it writes it, and its begin."""
        text = applied(self.turns[: place + 1], self.tokenizer, self.tools)
        prompt = self._prompt(place)
        if prompt is not None and text.startswith(prompt):
            return text, len(prompt)
        start = len(_common([*self._probed(place), text]))
        if prompt is None or not self._moves(place, text, prompt):
            return text, start
        while text[:start].endswith(" ") and not prompt.endswith(" "):
            start -= 1  # the model writes this space itself
        return prompt + text[start:], len(prompt)

    def _moves(self, place: int, text: str, prompt: str) -> bool:
        """Whether the template writes something before an answer only where the prompt is all there is.

        Mistral's writes the system prompt into the last turn, if a user has it.
        """
        said = [
            one for turn in self.turns[:place] if turn["role"] != "assistant" for _, one in texts_of(turn)
        ]
        return any(not occurs(one, bare(text)) and occurs(one, bare(prompt)) for one in said)

    def _written(self, place: int) -> Answer:
        turn, prompt = self.turns[place], self._prompt(place)
        text, start = self.as_seen(place)
        inside = bare(text[start:])
        missing = [(what, one) for what, one in self._texts(turn) if not occurs(one, inside)]
        if missing:
            text, start = self._with_thought(place, text, prompt, missing[0][0])
        written = text[start : self._end_of_turn(place, text, start)]
        written = written.rstrip() or written
        return Answer(place, text, start, start + len(written), self._words(turn), self._is_ended(written))

    def _end_of_turn(self, place: int, text: str, start: int) -> int:
        """Where the turn ends, without the mark that a template writes only behind whole conversations."""
        found = [match.span() for match in marks_of(self.tokenizer).pattern.finditer(text, start)]
        if len(found) < 2 or text[found[-2][1] : found[-1][0]].strip() or text[found[-1][1] :].strip():
            return len(text)
        turn_ends, conversation_ends = found[-2][1], found[-1][1]
        goes_on = [*self.turns[: place + 1], {"role": "user", "content": _PROBES[0]}]
        try:
            shared = len(_common([text, applied(goes_on, self.tokenizer, self.tools)]))
        except TemplateError:
            return len(text)
        return turn_ends if turn_ends <= shared < conversation_ends else len(text)

    def _with_thought(self, place: int, text: str, prompt: str | None, what: str) -> tuple[str, int]:
        """The turn as the model writes it, where the template drops its thought once it is written."""
        turn = self.turns[place]
        content, reasoning = str(turn.get("content") or ""), reasoning_of(turn)
        found = thought_of(content, opens=self.opens)
        is_dropped = what == "reasoning_content" or found is not None
        if prompt is None or turn.get("tool_calls") or not is_dropped or not (found or self.opens):
            raise left_out(what)
        if reasoning and not found:
            content = f"{THOUGHT_BEGINS}\n{reasoning.strip()}\n{THOUGHT_ENDS}\n\n{content}"
        if self.opens and content.lstrip().startswith(THOUGHT_BEGINS):
            content = content.lstrip().removeprefix(THOUGHT_BEGINS).removeprefix("\n")
        first, second = (one[::-1] for one in self._probed(place))
        return prompt + content.rstrip() + _common([first, second])[::-1], len(prompt)

    def _unfinished(self, place: int) -> Answer:
        """The turn up to where its writer was stopped; a thought that was not closed stays open."""
        turn, prompt = self.turns[place], self._prompt(place)
        content, reasoning = str(turn.get("content") or ""), reasoning_of(turn)
        begins = content.lstrip().startswith(THOUGHT_BEGINS)
        thinks = self.opens or (begins and THOUGHT_ENDS in str(self.tokenizer.chat_template))
        text, start = "", len(prompt or "")
        if prompt is not None and thinks and not turn.get("tool_calls"):
            if not reasoning:
                begun = content.lstrip().removeprefix(THOUGHT_BEGINS).removeprefix("\n")
                text = prompt + (begun if self.opens else content)
            elif not content.strip():
                text = prompt + reasoning
        if not text:
            whole = self._written(place)
            start, text = whole.start, self._cut(whole, turn)
        return Answer(place, text, start, len(text), self._words(turn), is_ended=False, finished=False)

    def _cut(self, whole: Answer, turn: Turn) -> str:
        """A turn without what the template writes behind the last that it says."""
        if turn.get("content") and not turn.get("tool_calls"):
            first, second = (one[::-1] for one in self._probed(whole.place))
            behind = _common([first, second])[::-1]
            if whole.text.endswith(behind):
                return whole.text.removesuffix(behind)
        last = list(self._texts(turn))[-1:]
        place_of_last = whole.text.rfind(last[0][1]) if last else -1
        if place_of_last < whole.start:
            raise left_out(last[0][0] if last else "the content")
        return whole.text[: place_of_last + len(last[0][1])]

    def _texts(self, turn: Turn) -> list[tuple[str, str]]:
        return list(texts_of(turn, opens=self.opens))

    def _prompt(self, place: int) -> str | None:
        """`prompt`; None where the assistant begins: most templates write no empty conversation."""
        return self.prompt(place) if place else None

    def _probed(self, place: int) -> list[str]:
        """The conversation up to a turn of the assistant, with two other contents."""
        before = self.turns[:place]
        return [
            applied([*before, {"role": "assistant", "content": probe}], self.tokenizer, self.tools)
            for probe in _PROBES
        ]

    def _is_ended(self, written: str) -> bool:
        return written.endswith(marks_of(self.tokenizer).ends)

    @staticmethod
    def _words(turn: Turn) -> str:
        return str(turn.get("content") or "").strip()


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    return commonprefix(list(texts))  # noqa: RUF071, which thinks of paths


def left_out(what: str) -> TemplateError:
    """The error for a text that a chat template does not write."""
    advice = {
        "reasoning_content": "Write it into `content`, as <think>...</think> before the answer, or take it "
        "out; or use a model whose chat template writes it.",
        "tools": "Use a model whose chat template writes tools, or take the column out.",
        "content": "Take it out of these turns, or use a model whose chat template writes it.",
    }
    fallback = "Write calls and results into `content`, or use a model whose chat template writes tool calls."
    return TemplateError(
        f"{what} must appear in the rendered text, got a chat template that leaves it out",
        advice.get(what, fallback),
    )
