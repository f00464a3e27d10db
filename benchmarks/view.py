"""How long the page of `limbeck view` takes to open and to search, in headless Chromium.

    python benchmarks/view.py [--rows 100000] [--words 200]

Makes a run of rows of random words, of which nine in ten come from a teacher and have lineage and verdicts,
writes its page and opens it. Prints seconds, memory and bytes of the page, milliseconds until the first
paint, until rows, counts and filters are there and until all texts are read, and of searches: right after
opening, and then. Needs Chromium.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.view.browser import browser

_GATES = ("novelty", "equal", "judge")
_VOCABULARY = 20_000
_WRITE = """
import resource, sys
from pathlib import Path
from limbeck.view.export import build_view
build_view(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
_SEARCHED = ("e", "the", "step by step", '"no boxed answer"', "not there at all", "novelty reason", "1234")


def main() -> None:
    """Measure and print."""
    wanted = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wanted.add_argument("--rows", type=int, default=100_000)
    wanted.add_argument("--words", type=int, default=200, help="of a row")
    chosen = wanted.parse_args()
    with tempfile.TemporaryDirectory(prefix="limbeck-view-") as folder:
        run = Path(folder) / "run"
        with ProcessPoolExecutor(
            1
        ) as apart:  # or the memory that rows take here would be counted as the page's
            apart.submit(_make, run, chosen.rows, chosen.words).result()
        before = time.perf_counter()
        written = subprocess.run(
            [sys.executable, "-c", _WRITE, str(run)], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - before
        size = sum(path.stat().st_size for path in (run / "view").rglob("*") if path.is_file())
        peak = int(written.stdout) / 1024
        print(f"written in {seconds:.1f} s with {peak:.0f} MB of memory; {size / 1e6:.0f} MB")
        _measure(run / "view" / "index.html")


def _measure(page: Path) -> None:
    with browser() as chromium:
        chromium.size(1280, 800)
        chromium.open(page)
        paint = chromium.value("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        opened = chromium.value("Number(document.documentElement.dataset.opened)")
        print(f"first paint {paint:.0f} ms, rows and filters {opened:.0f} ms")
        print(f"search right after opening: {_search(chromium, 'the')} (rows, ms)")
        chromium.wait("document.documentElement.dataset.warm !== undefined")
        print(f"all texts read after {chromium.value('document.documentElement.dataset.warm')} ms")
        for words in _SEARCHED:
            print(f"search for {words}: {_search(chromium, words)} (rows, ms)")


def _search(chromium: Any, words: str) -> str:
    chromium.filter(f"#q={words}")
    return str(chromium.value("document.documentElement.dataset.found"))


def _make(run: Path, rows: int, words: int) -> None:
    """A run with a load step and an elicit step; 18 in 100 rows are rejected."""
    import datasets  # its memory stays in this process

    datasets.disable_progress_bars()
    draw = random.Random(0)
    letters = "etaoinshrdlucmfwyp"
    vocabulary = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(_VOCABULARY)]
    sums = list(accumulate(1 / (place + 1) for place in range(_VOCABULARY)))

    def text(count: int) -> str:
        return " ".join(draw.choices(vocabulary, cum_weights=sums, k=count))

    seeds = [{"id": str(n), "prompt": text(words // 5), "completion": text(words)} for n in range(rows // 10)]
    made = [
        _elicited(seeds[n % len(seeds)], n, text(words // 2), text(words // 5))
        for n in range(rows - len(seeds))
    ]
    parts = {
        "0-load-seeds/train": seeds,
        "1-elicit-answers/rows": [row for n, row in enumerate(made) if n % 5],
        "1-elicit-answers/rejected": made[::5],
    }
    for name, chosen in parts.items():
        datasets.Dataset.from_list(chosen).save_to_disk(str(run / "steps" / name))


def _elicited(seed: dict[str, str], number: int, answer: str, reasoning: str) -> dict[str, Any]:
    asked = [
        {"role": "system", "content": "Reason step by step."},
        {"role": "user", "content": seed["prompt"]},
    ]
    verdicts = [
        {"gate": "length", "score": 1.0, "passed": True, "reason": "accepted", "detail": ""},
        {
            "gate": _GATES[number % 3],
            "score": 0.3,
            "passed": number % 5 > 0,
            "reason": "no boxed answer",
            "detail": "",
        },
    ]
    return {
        "id": f"{seed['id']}~{number}", "parents": [seed["id"]], "operator": "answer", "teacher": "large",
        "asked": json.dumps({"messages": asked}), "requests": [f"{number:064x}"], "reasoning": reasoning,
        "finished": True, "tokens_in": 60, "tokens_out": 120, "cost": "0.00012",
        "verdicts": json.dumps(verdicts), "prompt": seed["prompt"], "completion": answer,
    }  # fmt: skip


if __name__ == "__main__":
    main()
