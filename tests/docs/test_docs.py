"""The documentation says what the code does."""

import re
import subprocess
import sys
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from gradienthub import metrics
from gradienthub.hub import users_api
from gradienthub.rules.idleness import Reason
from gradienthub.rules.options import KEYS

ROOT = Path(__file__).parents[2]


def test_reference_pages_are_those_that_the_code_makes():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_every_link_between_pages_leads_somewhere():
    # Pages below docs/ are also pages of the site, whose build looks at more.
    others = [ROOT / "labextension" / "README.md", ROOT / "tests" / "README.md"]
    for page in [*ROOT.glob("*.md"), *others, *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_option_and_route_is_on_the_rest_page():
    page = (ROOT / "docs" / "reference" / "rest.md").read_text()
    for key in KEYS:
        assert f"`{key}`" in page
    for route, _handler in users_api.handlers():
        assert route.split("(")[0].rstrip("/").split("/")[-1] in page


def test_every_metric_is_declared_once_and_documented():
    made = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    assert made == list(metrics.DECLARED)
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for metric in made:
        [described] = metric.describe()
        assert described.name.startswith("gradienthub_") and f"| `{described.name}" in page
        assert described.documentation in page


def test_the_walks_through_the_code_name_files_and_functions_that_are_there():
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    named = re.findall(r"(?:`(\w+)` in )?`((?:\w+/)+\w+\.py)`", page)
    assert len(named) > 20
    for name, path in named:
        file = ROOT / path if path.startswith("tests/") else ROOT / "gradienthub" / path
        assert file.exists(), f"{path} is not there"
        made = rf"^\s*(async )?def {name}\(|^class {name}\b|^{name}\b.* = "
        assert not name or re.search(made, file.read_text(), re.MULTILINE), f"{path} has no {name}"


def test_the_life_of_a_lease_names_every_reason():
    page = (ROOT / "docs" / "explanation" / "lease.md").read_text()
    [line] = [line for line in page.splitlines() if line.startswith("Reasons: ")]
    assert re.findall(r"`(\w+)`", line) == [reason.value for reason in Reason]
