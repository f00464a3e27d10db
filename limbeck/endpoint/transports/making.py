"""The transport of an endpoint, by the form of its API."""

from collections.abc import Callable
from pathlib import Path

from limbeck.core.asking import Request
from limbeck.core.errors import ConfigError
from limbeck.endpoint.batch.anthropic import AnthropicBatches
from limbeck.endpoint.batch.form import BatchForm
from limbeck.endpoint.batch.openai import OpenAIBatches
from limbeck.endpoint.batch.transport import BatchTransport
from limbeck.endpoint.capabilities import Capabilities
from limbeck.endpoint.logprobs import Vocabulary
from limbeck.endpoint.secret import read_secret
from limbeck.endpoint.settings import Endpoint
from limbeck.endpoint.transport import Transport
from limbeck.endpoint.transports.anthropic import AnthropicTransport
from limbeck.endpoint.transports.bounded import bounded
from limbeck.endpoint.transports.openai import OpenAIManyTransport, OpenAITransport


def make_transport(
    endpoint: Endpoint,
    capabilities: Capabilities | None = None,
    *,
    journal: Path | None = None,
    vocabulary: Vocabulary | None = None,
    count_tokens: Callable[[Request], int] | None = None,
) -> Transport:
    """What carries calls to an endpoint.

    Args:
        endpoint: which one.
        capabilities: as they were probed; without them the server's refusals teach, and every answer is a
            call of its own.
        journal: its file; needed where `endpoint.batch` is set, as it says which request is in which batch.
        vocabulary: the bytes of every token id, where the teacher's tokenizer is at hand.
        count_tokens: of a prompt, by that tokenizer; with a known context, what cannot fit is not sent.

    Raises:
        ConfigError: the environment lacks its key.
        UserError: the client of its API is not installed.
    """
    direct = _direct(endpoint, capabilities, vocabulary)
    context = endpoint.context or (capabilities.context if capabilities is not None else None)
    if not endpoint.batch:
        return bounded(direct, context=context, count_tokens=count_tokens)
    if journal is None:
        raise ConfigError("batch must come with a journal, got none. Name a file by `journal: FILE`.")
    if isinstance(direct, AnthropicTransport):
        form: BatchForm = AnthropicBatches(direct, model=endpoint.model, timeouts=endpoint.timeouts)
    else:
        form = OpenAIBatches(direct, model=endpoint.model, timeouts=endpoint.timeouts)
    batches = BatchTransport(form, model=endpoint.model, label=endpoint.label, journal=journal)
    return bounded(batches, context=context, count_tokens=count_tokens)


def _direct(
    endpoint: Endpoint, capabilities: Capabilities | None, vocabulary: Vocabulary | None
) -> OpenAITransport | AnthropicTransport:
    secret = read_secret(endpoint.api_key_env)
    if endpoint.api == "anthropic":
        return AnthropicTransport(
            url=endpoint.url, model=endpoint.model, secret=secret, stream=endpoint.stream
        )
    kind = OpenAIManyTransport if capabilities is not None and capabilities.n else OpenAITransport
    return kind(
        url=endpoint.url,
        model=endpoint.model,
        secret=secret,
        dialect=capabilities.dialect() if capabilities is not None else None,
        stream=endpoint.stream,
        vocabulary=vocabulary,
    )
