"""What an endpoint may be, and what its tokens cost."""

from datetime import date
from decimal import Decimal

import pytest

from limbeck.core.asking import Reply, Usage
from limbeck.core.config import validate
from limbeck.core.errors import ConfigError
from limbeck.endpoint.codec import decode, encode
from limbeck.endpoint.prices import Price, price_of, read_prices
from limbeck.endpoint.settings import Endpoint


@pytest.mark.parametrize("url", ["http://me:hunter2@host/v1", "https://host/v1?api-key=hunter2"])
def test_a_key_in_the_url_is_refused_without_showing_it(url):
    with pytest.raises(ConfigError, match="api_key_env") as refused:
        validate(Endpoint, {"url": url, "model": "m"})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ValueError, match="must not hold a key") as plain:
        Endpoint(url=url, model="m")
    assert "hunter2" not in str(plain.value)


def test_something_else_than_a_url_is_refused():
    with pytest.raises(ConfigError, match=r"must be a URL such as http://127.0.0.1:8000/v1, got 'localhost'"):
        validate(Endpoint, {"url": "localhost", "model": "m"})


def test_a_price_table_is_read_from_a_file_to_the_last_digit(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(
        "- {model: 'big*', input: 0.1, output: 0.30, batch: 0.5, valid_from: 2026-01-31, source: page}\n"
    )
    (price,) = read_prices(path)
    assert (price.input, price.output, price.valid_from) == (
        Decimal("0.1"),
        Decimal("0.30"),
        date(2026, 1, 31),
    )
    # three million at 0.1, one million at 0.3, half of it in a batch
    usage = Usage(prompt=3_000_000, completion=1_000_000)
    assert price.cost(usage) == Decimal("0.6") and price.cost(usage, batched=True) == Decimal("0.3")


def test_thoughts_and_what_the_server_had_read_have_prices_of_their_own():
    price = Price(model="m", input=1, cached="0.25", output=4, reasoning=8, per=100)
    # 60 x 1 + 40 x 0.25 + 20 x 4 + 30 x 8, each for 100 tokens
    assert price.cost(Usage(prompt=100, cached=40, completion=50, reasoning=30)) == Decimal("3.9")
    assert price.most(100, 50) == Decimal(5)


def test_what_the_server_stores_for_later_may_cost_more_and_bounds_say_so():
    price = Price(model="m", input=4, cached="0.4", stored=5, output=20, per=1)
    usage = Usage(prompt=10, cached=3, stored=5, completion=1)
    assert price.cost(usage) == Decimal("54.2")  # 2 at 4, 3 at 0.4, 5 at 5, and 20
    assert price.most(10, 1) == 70
    kept = decode(encode(Reply("a", usage=usage)), key="k", from_cache=True)
    assert kept.usage == usage


def test_a_model_without_a_price_has_none():
    assert price_of("other", [Price(model="m*", input=1, output=1)], on=date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{a: 1}", "must be a list of prices"),
        ("- {model: m, input: x, output: 1}", "prices.0.input"),
        ("- {model: m, input: 1, ouput: 1}", "output"),
        ("[", "must be a YAML or JSON file"),
    ],
)
def test_a_damaged_price_table_says_where(tmp_path, text, said):
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_prices(path)
