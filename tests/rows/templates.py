"""Chat templates that behave as those of public model families do, in few words; and a tokenizer for them."""

from datasets import Dataset

from limbeck.core.errors import RowError
from limbeck.rows.render import Rendering, render
from tests.tiny import tiny_tokenizer

_CALLS = (
    "{% for c in m.tool_calls %}{{ '\n' if m.content or not loop.first }}{% set f = c.function %}"
    '{{ \'<tool_call>\n{"name": "\' + f.name + \'", "arguments": \' }}{{ f.arguments | tojson }}'
    "{{ '}\n</tool_call>' }}{% endfor %}"
)
_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' }}{% if messages[0].role == 'system' %}{{ messages[0].content }}"
    "{% endif %}{{ '# Tools' }}{% for t in tools %}{{ '\n' }}{{ t | tojson }}{% endfor %}{{ '<|im_end|>\n' }}"
)
_RESULT = "{{ '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}"
_PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

QWEN25 = (
    _TOOLS + "{% elif messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are Qwen.<|im_end|>\n' }}"
    "{% endif %}{% for m in messages %}{% if m.role == 'tool' %}" + _RESULT + "{% elif m.tool_calls %}"
    "{{ '<|im_start|>assistant\n' + (m.content or '') }}" + _CALLS + "{{ '<|im_end|>\n' }}"
    "{% elif not (tools and loop.first and m.role == 'system') %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}" + _PROMPT
)
"""A system turn of its own; tools and calls; nothing for `reasoning_content`."""

QWEN3 = (
    _TOOLS + "{% elif messages[0].role == 'system' %}"
    "{{ '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{% endif %}"
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}"
    "{% if m.role == 'tool' %}" + _RESULT + "{% elif m.role == 'assistant' %}"
    "{% set c = m.content or '' %}{% set r = '' %}{% if m.reasoning_content %}"
    "{% set r = m.reasoning_content %}"
    "{% elif '</think>' in c %}"
    "{% set r = c.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}"
    "{% set c = c.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>assistant\n' }}{% if loop.index0 > ns.last and (loop.last or r) %}"
    "{{ '<think>\n' + r.strip('\n') + '\n</think>\n\n' + c.lstrip('\n') }}{% else %}{{ c }}{% endif %}"
    "{% if m.tool_calls %}" + _CALLS + "{% endif %}{{ '<|im_end|>\n' }}"
    "{% elif m.role == 'user' %}{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
)
"""Thoughts before the last question are dropped, a last answer without one gets an empty one."""

QWEN3_OPENS = QWEN3 + _PROMPT.replace("assistant\n", "assistant\n<think>\n")
QWEN3 += _PROMPT

LLAMA3 = (
    "{% for m in messages %}"
    "{% set c = '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim"
    " + '<|eot_id|>' %}{% if loop.first %}{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""Trims contents; no tools, no thoughts."""

LLAMA31 = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set s = messages[0].content | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set s = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + strftime_now('%d %b %Y') + '\n\n' }}"
    "{% for t in tools or [] %}{{ t | tojson(indent=4) }}{{ '\n\n' }}{% endfor %}{{ s + '<|eot_id|>' }}"
    "{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}"
    "{{ raise_exception('This model only supports single tool-calls at once!') }}{% endif %}"
    "{% set f = m.tool_calls[0].function %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{{ '{\"name\": \"' + f.name + '\", \"parameters\": ' }}{{ f.arguments | tojson }}{{ '}<|eot_id|>' }}"
    "{% elif m.role == 'tool' %}{{ '<|start_header_id|>ipython<|end_header_id|>\n\n' }}"
    "{{ m.content | tojson }}{{ '<|eot_id|>' }}{% else %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}"
    "{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% endif %}"
)
"""Today's date; one call a turn, whose content it drops; results as JSON."""

GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim }}"
    "{{ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}"
    "{% endif %}"
)

PHI3 = (
    "{% for m in messages %}{% if m.role in ('system', 'user') %}"
    "{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% elif m.role == 'assistant' %}"
    "{{ '<|assistant|>\n' + m.content + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
"""The end token behind the whole conversation, so that no beginning of it is written as within."""

NEMO = (
    "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set messages = messages[1:] %}"
    "{% endif %}{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
    "{{ '[INST]' + (s + '\n\n' if loop.last and s is defined else '') + m.content + '[/INST]' }}"
    "{% else %}{{ SPACE + m.content + eos_token }}{% endif %}{% endfor %}"
)
"""Mistral-Nemo and Mistral 7B v0.3: the system prompt stands in the last turn, if a user has it."""

MISTRAL = (
    "{% if messages[0].role == 'system' %}{% set s = messages[0].content + '\n\n' %}"
    "{% set messages = messages[1:] %}"
    "{% else %}{% set s = '' %}{% endif %}{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
    "{{ '[INST] ' + (s if loop.last or (loop.index0 == messages | length - 2) else '') + m.content +"
    " '[/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
"""The system prompt in the last question; no generation prompt."""

ZEPHYR = (
    "{% for m in messages %}{% if m.role in ('user', 'system', 'assistant') %}"
    "{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}"
)
"""Other roles vanish."""

R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'user' %}"
    "{{ '<|User|>' + m.content }}{% else %}{% set c = m.content %}{% if '</think>' in c %}"
    "{% set c = c.split('</think>')[-1] %}{% endif %}{{ '<|Assistant|>' + c + eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)
"""Drops every thought, and opens one in the prompt."""

MARKS = (
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>",
    "<end_of_turn>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "[INST]", "[/INST]",
)  # fmt: skip
PLAIN_MARKS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<|User|>", "<|Assistant|>")


def tokenizer_with(template, *, eos="</s>"):
    """A byte-level tokenizer that knows the marks of all families; thoughts, calls and R1's are not"
    " special."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS)})
    tokenizer.add_tokens(list(PLAIN_MARKS))
    tokenizer.eos_token = eos
    tokenizer.chat_template = template
    return tokenizer


def shown(row, tokenizer):
    """The tokens of a row as text, the learnt ones between ⟦ and ⟧."""
    text, was = "", False
    for token, loss_mask in zip(row["input_ids"], row["is_target"], strict=True):
        text += ("⟦" if loss_mask else "⟧") if loss_mask != was else ""
        text, was = text + tokenizer.decode([token]), loss_mask
    return text + ("⟧" if was else "")


def rendered(template, *turns, eos="</s>", **choices):
    """What of a conversation each example shows; keys of the row go with `row`, others into the rendering."""
    tokenizer = template if not isinstance(template, str) else tokenizer_with(template, eos=eos)
    row = {"messages": list(turns), "id": "r0", **choices.pop("row", {})}
    found = render(Dataset.from_list([row]), tokenizer, Rendering("causal", 4096, **choices))
    return [shown(one, tokenizer) for one in found]


def refusal(template, *turns, **choices):
    """What is said where a conversation is refused."""
    try:
        rendered(template, *turns, **choices)
    except RowError as error:
        return str(error)
    raise AssertionError("it was rendered")


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def call(name, arguments):
    """A tool call in the wire format: arguments are JSON text."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}
