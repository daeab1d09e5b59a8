"""The documentation as a site: every page is in the navigation, and every link leads somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What a browser fetches to draw a page.
FETCHED = re.compile(
    r'<(?:script|img|link(?=[^>]*stylesheet))[^>]*?(?:src|href)="?(https?://[^\s">]+)'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A broken link or a page outside of the navigation fails the build."""
    pytest.importorskip("mkdocs", reason="needs mkdocs: pip install 'gradienthub[docs]'")
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(["http_proxy", "https_proxy", "all_proxy"], "http://127.0.0.1:9")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        # What has to be fetched fails.
        env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_has_a_page_for_each_of_ours(site):
    pages = [page.relative_to(ROOT / "docs") for page in ROOT.glob("docs/**/*.md")]
    for page in pages:
        built = page.with_suffix(".html") if page.stem == "index" else page.with_suffix("")
        assert (site / built).exists(), page


def test_a_page_is_drawn_without_another_host(site):
    for page in site.glob("**/*.html"):
        assert FETCHED.findall(page.read_text()) == [], page


def test_a_diagram_is_given_to_mermaid(site):
    assert '<pre class="mermaid">' in (site / "explanation/architecture/index.html").read_text()
