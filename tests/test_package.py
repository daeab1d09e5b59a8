"""What a package index shows, and what a build without git knows."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
URL = "https://forge.example/acme/gradienthub"


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Message:
    """The metadata of a wheel that was built from a copy without git, with a page of its own."""
    folder = tmp_path_factory.mktemp("package")
    # A venv may have any name, and hold a gigabyte.
    kept = {"gradienthub", "README.md", "LICENSE", "setup.cfg", "setup.py", "pyproject.toml"}
    others = [path.name for path in ROOT.iterdir() if path.name not in kept]
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*others))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", f"--wheel-dir={folder}", source],
        check=True,
        env=os.environ | {"GRADIENTHUB_URL": URL + "/"},
    )
    [wheel] = folder.glob("gradienthub-*.whl")
    with ZipFile(wheel) as archive:
        [name] = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def fallback(pyproject: Path) -> str:
    """Return the version that a build takes where git says none."""
    version = tomllib.loads(pyproject.read_text())["tool"]["setuptools_scm"]["fallback_version"]
    return str(version)


def test_both_packages_fall_back_to_one_version():
    assert fallback(ROOT / "pyproject.toml") == fallback(ROOT / "labextension/pyproject.toml")


def test_a_copy_without_git_builds_and_has_that_version(metadata):
    assert metadata["Version"] == fallback(ROOT / "pyproject.toml")


def test_every_link_of_the_page_on_an_index_is_absolute(metadata):
    readme = metadata.get_payload()
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert targets and all(target.startswith("https://") for target in targets)
    for target in targets:
        kind, _, path = target.removeprefix(URL + "/").partition("/HEAD/")
        if target.startswith(URL):
            assert (ROOT / path.partition("#")[0]).exists(), target
            assert kind == ("raw" if path.endswith((".png", ".gif")) else "blob"), target


def test_the_index_names_the_project_s_pages(metadata):
    assert f"Source, {URL}" in metadata.get_all("Project-URL")
