"""Pages of the domains, from their files and prompts; written by `docs/generate.py`."""

import yaml

from limbeck.core.prompting import load_prompt
from limbeck.recipes.domains import SHIPPED, read_domain


def domain_page(name: str) -> str:
    """The page of one domain."""
    found = read_domain(name)
    prompts = (found.questions, found.answer, found.judge.prompt)
    said = (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
    parts = [
        f"# {name}",
        f"{found.about} A domain of the recipe [domain](../methods/domain.md):",
        f"```console\n$ limbeck run domain domain={name} teacher=TEACHER_DIR student=STUDENT_DIR "
        "data=corpus.jsonl general=general.jsonl\n```",
        "## The corpus",
        found.corpus,
        "\n".join(f"- {source}" for source in found.sources),
        "## How answers are held to it",
        "An answer that was cut, or says UNANSWERED, is refused; then these gates judge it "
        f"([gates](../gates.md)), and a judge must score it {found.judge.minimum:g} of 10 or higher:",
        f"```yaml\n{yaml.safe_dump([one.model_dump() for one in found.gates], sort_keys=False)}```",
        f"## To watch\n\n{found.care}",
        "## Models of this domain\n\n" + "\n".join(f"- {method}" for method in found.methods),
        "## The file",
        f"Copy it, edit it, and name it: `domain=mine.yaml`.\n\n```yaml\n{said}```",
        "## What the teacher reads",
        *(f"`{prompt}`:\n\n```\n{load_prompt(prompt).file.teacher.user}```" for prompt in prompts),
    ]
    return "\n\n".join(parts) + "\n"
