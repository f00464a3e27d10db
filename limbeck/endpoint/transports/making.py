"""The transport of an endpoint, by the form of its API."""

from limbeck.endpoint.capabilities import Capabilities
from limbeck.endpoint.logprobs import Vocabulary
from limbeck.endpoint.secret import read_secret
from limbeck.endpoint.settings import Endpoint
from limbeck.endpoint.transport import Transport
from limbeck.endpoint.transports.anthropic import AnthropicTransport
from limbeck.endpoint.transports.openai import OpenAIManyTransport, OpenAITransport


def make_transport(
    endpoint: Endpoint,
    capabilities: Capabilities | None = None,
    *,
    vocabulary: Vocabulary | None = None,
) -> Transport:
    """What carries calls to an endpoint.

    Args:
        endpoint: which one.
        capabilities: as they were probed; without them the server's refusals teach, and every answer is a
            call of its own.
        vocabulary: the bytes of every token id, where the teacher's tokenizer is at hand.

    Raises:
        ConfigError: the environment lacks its key.
        UserError: the client of its API is not installed.
    """
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
