"""The page in a browser, at the widths of a desk and of a phone."""

import json

import pytest

from limbeck.view.export import build_view
from tests.view.browser import CHROMIUM, browser
from tests.view.made import HOSTILE, make_run, saved

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

DESK, PHONE = (1280, 800), (390, 844)
OPENED = [
    "",
    "#show=overview",
    "#row=8",
    "#row=12",
    "#row=15",
    "#q=blue",
    "#step=1-elicit-answers&status=rejected",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return build_view(make_run(tmp_path_factory.mktemp("view"))).page


@pytest.fixture(scope="module")
def chromium():
    with browser() as one:
        yield one


def names(chromium):
    """Names of the rows in the list."""
    found = "[...document.querySelectorAll('#list .item')].sort((a, b) => a.offsetTop - b.offsetTop)"
    return chromium.value(f"{found}.map((item) => item.querySelector('b').textContent)")


def found(chromium):
    return chromium.value("document.getElementById('found').textContent")


def detail(chromium):
    return chromium.value("document.getElementById('detail').innerText")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_hostile_runs_loads_or_widens_the_page(chromium, page, size):
    chromium.size(*size)
    chromium.events.clear()
    for address in OPENED:
        chromium.open(page, address)
        chromium.wait("document.querySelector('#detail h2') !== null")
        # Not against innerWidth: a phone widens that to what is there.
        widest = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        assert chromium.value(widest) <= size[0], address
        made = "#panes :is(script, img, svg, iframe, object, embed, style, link, a:not([href^='#']))"
        assert chromium.value(f'document.querySelectorAll("{made}").length') == 0
    assert chromium.value("document.title") == "sky · limbeck view"
    assert chromium.complaints() == []
    inside = page.parent.absolute().as_uri()
    assert all(one.startswith((inside, "about:blank")) for one in chromium.addresses())


def test_the_page_may_not_be_given_markup_even_by_its_own_scripts(chromium, page):
    chromium.size(*DESK)
    chromium.open(page)
    set_markup = (
        "try { document.body.innerHTML = '<b>x</b>'; return 'set'; } catch (error) { return error.name; }"
    )
    assert chromium.value(f"(() => {{ {set_markup} }})()") == "TypeError"
    attempt = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    assert chromium.value(attempt) == "refused"


def test_a_row_is_shown_whole_and_what_cannot_be_seen_is_named(chromium, page):
    chromium.size(*DESK)
    chromium.open(page, "#row=8")
    chromium.wait("document.querySelector('.talk') !== null")
    codes = chromium.value(
        "[...document.querySelectorAll('.turn[data-role=assistant] .code')].map((one) => one.textContent)"
    )
    assert codes == ["LS", "PS", "RLO", "PDF", "NUL", "ESC", "ESC"]
    said = chromium.value("document.querySelector('.turn[data-role=assistant] pre').textContent")
    plain = HOSTILE
    for letter, name in {
        "\u2028": "LS",
        "\u2029": "PS",
        "\u202e": "RLO",
        "\u202c": "PDF",
        "\0": "NUL",
        "\x1b": "ESC",
    }.items():
        plain = plain.replace(letter, name)
    assert said == plain
    text = detail(chromium)
    for part in (
        "What the student reads",
        "What the teacher was asked",
        "Think first",
        "Grey.",
        "0.00042 USD",
        "✓ passed",
        "may train",
    ):
        assert part in text


def test_search_and_filters_show_the_rows_they_name(chromium, page):
    chromium.size(*DESK)
    chromium.open(page)
    chromium.value("document.getElementById('list').focus()")
    chromium.press("/")
    assert chromium.value("document.activeElement.id") == "q"
    chromium.type("AZURE")
    chromium.wait("document.documentElement.dataset.found.startsWith('1 ')")
    assert names(chromium) == ["q5~1"]
    assert chromium.value("document.querySelector('.item mark').textContent") == "Azure"
    for address, expected in {
        "#q=%22blue,+most%22": ["q4~0"], "#q=azure+most": [], "#q=q5~1": ["q5~1"],
        "#status=failed": ["q3"], "#gate=length": ["q4~0"], "#teacher=small": ["q5~1"],
        "#reason=too+close+to+another+row": ["q5~0", "q5~1"], "#q=azure&status=accepted": [],
        "#step=2-gate-good&order=longest": ["q0~0", "q1~0", "q2~0", "q3~0"], "#cost_from=1": [],
        "#kind=failure": ["q3"], "#characters_to=30&step=0-load-questions": [],
    }.items():  # fmt: skip
        chromium.filter(address)
        assert names(chromium) == expected, address


def test_bars_of_reasons_filter_and_lineage_leads_to_parents_and_children(chromium, page):
    chromium.size(*DESK)
    chromium.open(page)
    chromium.value(
        "[...document.querySelectorAll('.bars a')].find((a) => a.textContent.includes('novelty')).click()"
    )
    chromium.wait("document.getElementById('found').textContent.startsWith('2 of')")
    assert found(chromium) == "2 of 20 rows"
    chromium.value("document.querySelector('#chips button').click()")
    chromium.open(page, "#row=13")
    chromium.wait("document.querySelector('.links a') !== null")
    chromium.value("document.querySelector('.links a').click()")
    chromium.wait("document.querySelector('#detail h2').textContent === 'q5'")
    children = "[...document.querySelectorAll('.links a')].map((a) => a.parentElement.textContent)"
    assert chromium.value(children) == [
        "q5~0 rejected: elicit answers, rejected",
        "q5~1 rejected: elicit answers, rejected",
    ]


def test_keys_move_through_the_rows(chromium, page):
    chromium.size(*DESK)
    chromium.open(page)
    chromium.value("document.getElementById('list').focus()")
    for key, name in (("ArrowDown", "q0"), ("ArrowDown", "q1"), ("End", "q0~0"), ("Home", "q0")):
        chromium.press(key)
        chromium.wait(f"document.querySelector('#detail h2').textContent === {json.dumps(name)}")
    chosen = chromium.value("document.querySelector('[aria-selected=true]').id")
    assert chromium.value("document.getElementById('list').getAttribute('aria-activedescendant')") == chosen
    chromium.press("Escape")
    chromium.wait("document.querySelector('#detail h2').textContent === 'Overview'")


def test_a_phone_shows_the_list_or_a_row_and_goes_back(chromium, page):
    chromium.size(*PHONE)
    chromium.open(page)
    seen = "['browse', 'detail'].filter((id) => document.getElementById(id).checkVisibility())"
    assert chromium.value(seen) == ["browse"]
    chromium.value("document.querySelector('.item').click()")
    chromium.wait("document.body.dataset.shows === 'row'")
    assert chromium.value(seen) == ["detail"]
    chromium.wait("document.querySelector('.back') !== null")
    chromium.value("document.querySelector('.back').click()")
    chromium.wait("document.body.dataset.shows === 'rows'")
    assert chromium.value(seen) == ["browse"]


def test_a_long_text_is_shown_in_steps_and_a_long_list_only_where_it_is_seen(chromium, tmp_path):
    rows = [{"id": f"r{n}", "text": f"text {n}"} for n in range(1500)] + [
        {"id": "long", "text": "ab " * 1_000_000}
    ]
    saved(rows, tmp_path / "rows")
    chromium.size(*DESK)
    page = build_view(tmp_path / "rows", tmp_path / "page").page
    chromium.open(page, "#row=1500")
    chromium.wait("document.querySelector('.talk button') !== null")
    assert names(chromium)[-1] == "long"
    assert chromium.value("document.querySelectorAll('.item').length") < 30
    assert (
        chromium.value("document.querySelector('.talk button').textContent")
        == "Show more: 20,000 of 3,000,000 characters are shown"
    )
    chromium.value("document.querySelector('.talk button').click()")
    assert chromium.value("document.querySelector('.talk pre').textContent.length") == 220_000
