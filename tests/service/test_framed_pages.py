"""The keeper's pages stand in the hub's frame: one bar, one announcement, wherever one is."""

from pathlib import Path

import pytest
from jupyterhub._data import DATA_FILES_PATH

from gradienthub.service import frame
from gradienthub.service.app import environment

PAGES = {"usage": "bob", "audit": "bob", "fleet": "ada", "accounts": "ada"}
PAGE = """{% extends "templates/page.html" %}
{% block nav_bar_left_items %}<li><a href="/wiki">Wiki of {{ user.name }}</a></li>{% endblock %}
"""


def theirs(folder, text):
    def change(c):
        folder.mkdir()
        (folder / "page.html").write_text(text)
        c.JupyterHub.template_paths = [str(folder)]
        c.JupyterHub.template_vars = {"announcement": lambda user: f"To {user.name}: moved"}

    return change


async def test_the_keepers_pages_have_the_deployers_bar_and_announcement(bank, tmp_path):
    at = await bank(theirs(tmp_path / "theirs", PAGE))
    for path, name in PAGES.items():
        said = await at.page(path, name)
        assert said.status == 200, path
        assert f"Wiki of {name}" in said.text
        assert f"To {name}: moved" in said.text
        assert said.text.count('class="gh-nav"') == 1
        assert said.text.count("<html") == said.text.count("</html>") == 1
        assert f'{path}" aria-current="page"' in said.text
        assert ("/hub/admin" in said.text) == (name == "ada")
        assert "gradienthub-seam" not in said.text


@pytest.mark.parametrize(
    "text",
    [
        "<html>nothing of a page</html>",
        "{{ user.no.such.thing }}",
        (Path(DATA_FILES_PATH) / "templates" / "page.html").read_text(),
    ],
    ids=["empty", "broken", "copied"],
)
async def test_a_page_of_a_deployer_that_has_no_place_for_ours_does_not_break_the_keepers(
    bank, tmp_path, text
):
    at = await bank(theirs(tmp_path / "theirs", text))
    said = await at.page("usage", "bob")
    assert said.status == 200
    assert said.text.count('class="gh-nav"') == 1
    assert 'aria-current="page">Usage' in said.text


async def test_without_the_hub_a_page_has_our_own_frame(bank, monkeypatch):
    at = await bank()
    monkeypatch.setattr(at.keeper.context.frames, "_url", "http://127.0.0.1:1/frame")
    said = await at.page("usage", "bob")
    assert said.status == 200
    assert said.text.count('class="gh-nav"') == 1


async def test_a_frame_is_rendered_once_a_minute_and_person(bank, monkeypatch):
    at = await bank()
    asked = []
    ask = frame.Frames._ask_hub

    async def count(self, here, token):
        asked.append(here)
        return await ask(self, here, token)

    monkeypatch.setattr(frame.Frames, "_ask_hub", count)
    for name in ("bob", "bob", "eve"):
        await at.page("usage", name)
    assert asked == ["usage", "usage"]


GIVEN = {
    "GRADIENTHUB_DATABASE_URL": "sqlite://",
    "GRADIENTHUB_HUB_ID": "h",
    "JUPYTERHUB_API_TOKEN": "t",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/dev/hub/api",
    "JUPYTERHUB_SERVICE_PREFIX": "/dev/services/gradient/",
    "JUPYTERHUB_BASE_URL": "/dev/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:9000",
}


@pytest.mark.parametrize(
    ("public", "prefix"),
    [
        ({}, "/dev/hub/"),
        (
            {
                "JUPYTERHUB_PUBLIC_URL": "https://lab.org/dev/services/gradient/",
                "JUPYTERHUB_PUBLIC_HUB_URL": "https://lab.org/dev/hub/",
            },
            "/dev/hub/",
        ),
        (
            {
                "JUPYTERHUB_PUBLIC_URL": "https://services.lab.org/dev/services/gradient/",
                "JUPYTERHUB_PUBLIC_HUB_URL": "https://lab.org/dev/hub/",
            },
            "https://lab.org/dev/hub/",
        ),
    ],
)
def test_links_to_the_hub_name_its_host_where_services_have_another(public, prefix):
    assert environment(GIVEN | public).hub_prefix == prefix
