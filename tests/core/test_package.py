"""What `import limbeck` gives, and what it does not load."""

import subprocess
import sys


def in_a_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_objectives_recipes_and_run_are_there_without_further_imports():
    names = "limbeck.objectives.forward_kl, limbeck.recipes.sft, limbeck.run"
    code = f"import limbeck; print(*(one.__name__ for one in ({names})))"
    assert in_a_fresh_process(code).split() == ["forward_kl", "sft", "run"]


def test_importing_the_package_loads_neither_torch_nor_pydantic():
    code = "import sys, limbeck; print({'torch', 'pydantic', 'transformers'} & set(sys.modules))"
    assert in_a_fresh_process(code).strip() == "set()"


def test_an_unknown_name_is_an_attribute_error():
    code = "import limbeck\ntry: limbeck.nothing\nexcept AttributeError as error: print(error)"
    assert "has no attribute 'nothing'" in in_a_fresh_process(code)
