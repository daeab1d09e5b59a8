"""A deployer's templates beside ours: nothing breaks, and what they add is on every page."""

import os
from pathlib import Path

import pytest
from home import plain
from jupyterhub._data import DATA_FILES_PATH

from gradienthub.hub.frame import (
    OtherTemplates,
    describe_templates,
    find_other_templates,
    split_at_seams,
)
from gradienthub.testing import SlowToStart

UPSTREAM = Path(DATA_FILES_PATH) / "templates"
PAGES = ("/home", "/new", "/spawn", "/gradient/machines", "/spawn-pending/anna", "/token", "/admin")
LINKS = """{% extends "templates/page.html" %}
{% block nav_bar_left_items %}{{ super() }}<li><a href="/wiki">Our wiki</a></li>{% endblock %}
{% block announcement %}<p>Heads up.</p>{{ super() }}{% endblock %}
{% block login_widget %}<b>Our widget</b>{{ super() }}{% endblock %}
{% block footer %}<p>Run by the faculty</p>{% endblock %}
{% block stylesheet %}{{ super() }}<link rel="stylesheet" href="/ours.css">{% endblock %}
"""


def templates_in(folder, **texts):
    def change(c):
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.html").write_text(text)
        c.JupyterHub.template_paths = [str(folder)]
        c.Authenticator.admin_users = {"anna"}

    return change


def all_upstream(write):
    return {path.stem: write(path) for path in UPSTREAM.glob("*.html")}


def extended(path):
    blocks = [
        name
        for name in ("heading", "message", "main", "script")
        if f"{{% block {name} %}}" in path.read_text()
    ]
    return f'{{% extends "templates/{path.name}" %}}\n' + "".join(
        f"{{% block {name} %}}{{{{ super() }}}}{{% endblock %}}" for name in blocks
    )


@pytest.mark.parametrize("write", [Path.read_text, extended], ids=["copied", "extended"])
async def test_every_page_opens_with_each_template_of_the_hub_copied_or_extended(
    hub, tmp_path, write
):
    home = await hub(templates_in(tmp_path / "theirs", **all_upstream(write)))
    anna = await home.browser("anna")
    for page in PAGES:
        said = await anna.get(page)
        assert said.status == 200, (page, said.status)
        # Every page leads to the notebooks, and each of ours has its fields and lists.
        assert "/hub/home" in said.text, page
    assert 'name="instance_type"' in (await anna.get("/new")).text
    assert 'value="free-t4"' in (await anna.get("/spawn")).text
    assert "Notebooks" in plain((await anna.get("/home")).text)
    stopped = await anna.get("/user/anna/lab")
    assert stopped.status == 424
    assert "not running" in plain(stopped.text)
    assert (await anna.get("/no-such-page")).status == 404
    anna.cookies.clear()
    assert (await anna.get("/login")).status == 200


async def test_a_start_and_its_failure_have_their_pages_beside_copied_templates(hub, tmp_path):
    home = await hub(templates_in(tmp_path / "theirs", **all_upstream(Path.read_text)))
    await home.settled()
    anna = await home.browser("anna")
    slow = home.engine.suffer(SlowToStart("anna"))
    form = {"instance_type": "free-t4", "shutdown_after": "1h"}
    assert (await anna.post("/spawn", form)).status == 302
    pending = await anna.get("/spawn-pending/anna")
    assert pending.status == 200
    assert "Starting" in plain(pending.text)
    refused = await anna.post("/new", form | {"instance_type": "a100", "display_name": "Second"})
    assert refused.status == 403
    assert "a100" in refused.text
    slow.let_go()


async def test_what_a_deployer_adds_to_the_bar_and_says_is_on_every_page(hub, tmp_path):
    home = await hub(templates_in(tmp_path / "theirs", page=LINKS))
    anna = await home.browser("anna")
    for page in PAGES:
        text = (await anna.get(page)).text
        # The hub's own admin page has a footer of its own.
        assert ("Run by the faculty" in text) == (page != "/admin")
        for words in ("Our wiki", "Heads up.", "Our widget", "/ours.css"):
            assert text.count(words) == 1, (page, words)
        # Once each: our bar is the frame of theirs, not a second one.
        assert text.count('class="gh-nav"') == 1, page
        assert text.count('id="logout"') == 1, page


async def test_announcements_for_one_page_and_for_all_are_shown_where_the_hub_shows_them(hub):
    def change(c):
        c.Authenticator.admin_users = {"anna"}
        c.JupyterHub.template_vars = {
            "announcement": "<b>To all</b>",
            "announcement_home": lambda user: f"At home, {user and user.name}",
            "announcement_spawn": "At the form",
            "announcement_login": "At the login",
        }

    home = await hub(change)
    anna = await home.browser("anna")
    said = {page: (await anna.get(page)).text for page in PAGES}
    assert "At home, anna" in said["/home"]
    assert "To all" not in said["/home"]
    assert all("At the form" in said[page] for page in ("/new", "/spawn"))
    assert all("<b>To all</b>" in said[page] for page in ("/gradient/machines", "/token", "/admin"))
    anna.cookies.clear()
    assert "At the login" in (await anna.get("/login")).text


async def test_a_deployers_logo_is_the_one_on_our_pages(hub, tmp_path):
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"png")

    def change(c):
        c.JupyterHub.logo_file = str(logo)

    home = await hub(change)
    anna = await home.browser("anna")
    assert '/hub/logo"' in (await anna.get("/home")).text
    assert (await anna.get("/logo")).status == 200


async def test_the_start_names_each_template_that_is_not_used(hub, tmp_path, capfd):
    texts = {"home": '{% extends "templates/home.html" %}', "page": "<html></html>"}
    await hub(templates_in(tmp_path / "theirs", **texts))
    said = capfd.readouterr().err
    assert f"{tmp_path}/theirs/home.html is not used" in said
    assert f"{tmp_path}/theirs/page.html extends nothing" in said


def test_templates_of_other_names_are_nobodys_business(tmp_path):
    for name in ("error.html", "login.html", "not_running.html", "gradient/nav.html"):
        file = tmp_path / name
        os.makedirs(file.parent, exist_ok=True)
        file.write_text("{# of theirs #}")
    (tmp_path / "page.html").write_text('{#- hello #}{%- extends "templates/page.html" %}')
    found = find_other_templates([tmp_path])
    assert found == OtherTemplates(replacing=(str(tmp_path / "gradient/nav.html"),))
    assert [sentence for sentence in describe_templates(found) if "stands in" in sentence]


def test_a_frame_that_lost_a_part_is_not_used():
    with pytest.raises(ValueError, match="leaves out"):
        split_at_seams("<title>theirs</title>")
