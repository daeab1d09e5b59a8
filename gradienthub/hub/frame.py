"""How our templates and a deployer's stand together, and the frame of the keeper's pages.

Our pages have names of our own (`gradient/...`), so that no file of a deployer's can stand in
their way. Every page, the hub's and ours, extends `page.html`: a deployer's where there is one,
which extends `templates/page.html`: ours (`hub/page.html`), which extends the hub's own. A block
that a deployer fills is therefore on all pages.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub import scopes
from jupyterhub.app import JupyterHub
from jupyterhub.utils import url_path_join
from markupsafe import Markup
from tornado import web

from .users_api import KEEPER, GradientAPIHandler

TEMPLATES = Path(__file__).parent.parent / "templates"
#: The hub's pages in whose place ours stand, by the name of their template.
REPLACED = {
    "home.html": "Notebooks",
    "spawn.html": "the form of a start",
    "spawn_pending.html": "the page of a start",
    "stop_pending.html": "the page of a start",
}
#: Where the title, the scripts and the page itself go into a frame. No page contains these words.
SEAMS = {name: f"gradienthub-seam-{name}-7d1f" for name in ("title", "head", "page")}
EXTENDS = re.compile(r"\{%[-+]?\s*extends\b")


@dataclass(frozen=True)
class OtherTemplates:
    """Template files of a deployer that touch ours.

    `unused` are of pages that ours replace, `replacing` stand in for a file of ours, and `bare`
    is a page.html that extends nothing, so that the hub's own pages are without our bar.
    """

    unused: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()


def find_other_folders(paths: Iterable[str], hubs: str) -> list[Path]:
    """List the template folders that are neither the hub's nor ours."""
    ours = {TEMPLATES.resolve(), Path(hubs).resolve()}
    return [Path(path) for path in paths if Path(path).resolve() not in ours]


def find_other_templates(folders: Iterable[Path]) -> OtherTemplates:
    """Look through a deployer's template folders for names that are the hub's or ours."""
    unused, replacing, bare = [], [], []
    own = {p.relative_to(TEMPLATES).as_posix() for p in TEMPLATES.glob("gradient/*.html")}
    for folder in folders:
        unused += [str(folder / name) for name in REPLACED if (folder / name).is_file()]
        replacing += [str(folder / name) for name in sorted(own) if (folder / name).is_file()]
        page = folder / "page.html"
        if page.is_file() and not EXTENDS.search(page.read_text(errors="replace")):
            bare.append(str(page))
    return OtherTemplates(tuple(unused), tuple(replacing), tuple(bare))


def describe_templates(templates: OtherTemplates) -> Iterator[str]:
    """Say what becomes of a deployer's templates, one sentence a file."""
    for path in templates.unused:
        title = REPLACED[Path(path).name]
        yield (
            f"The template {path} is not used: GradientHub has a page of its own there ({title})."
            ' Put what every page shall have into a page.html that extends "templates/page.html"'
        )
    for path in templates.replacing:
        yield f"The template {path} stands in for GradientHub's own of that name"
    for path in templates.bare:
        yield (
            f"The template {path} extends nothing, so that the hub's own pages are without"
            ' GradientHub\'s bar; begin it with {% extends "templates/page.html" %}'
        )


def arrange(environment: Environment, paths: Collection[str], hubs: str) -> None:
    """Put our frame between the hub's page.html and whoever extends it."""
    hubs_own = FileSystemLoader(hubs)
    loaders: list[BaseLoader] = [
        PrefixLoader(
            {
                "templates": ChoiceLoader([FileSystemLoader(TEMPLATES / "hub"), hubs_own]),
                "jupyterhub": hubs_own,
            }
        ),
        FileSystemLoader(list(paths)),
    ]
    environment.loader = ChoiceLoader(loaders)
    if environment.cache is not None:
        environment.cache.clear()


def arrange_hub(app: JupyterHub) -> list[str]:
    """Arrange the templates of a hub that starts; return what its administrator should know.

    Sets the addresses that our templates print, too: only the running hub knows them.
    """
    hubs = str(app._template_paths_default()[0])
    for name in ("jinja2_env", "jinja2_env_sync"):
        arrange(app.tornado_settings[name], app.template_paths, hubs)
    app.template_vars.update(find_addresses(app))
    if not app.default_url:
        # The hub's own first page would start the default notebook, or show its form.
        app.tornado_settings["default_url"] = url_path_join(app.hub.base_url, "home")
    return [*describe_templates(find_other_templates(find_other_folders(app.template_paths, hubs)))]


def find_addresses(app: JupyterHub) -> dict[str, str]:
    """Find the addresses that our templates print in the hub's own pages."""
    addresses = {"gradient_static": url_path_join(app.hub.base_url, "gradient/static/")}
    keeper = app._service_map.get(KEEPER)
    if keeper is not None:
        # Not its href, which loses the port of a subdomain_host.
        addresses["service_url"] = keeper.host + keeper.prefix
    if app.logo_file != app._logo_file_default():
        addresses["gradient_logo"] = url_path_join(app.hub.base_url, "logo")
    return addresses


def split_at_seams(html: str) -> dict[str, str]:
    """Cut a rendered frame where the keeper fills it in. Raises ValueError where a seam is lost."""
    top, title, rest = html.partition(SEAMS["title"])
    head, scripts, rest = rest.partition(SEAMS["head"])
    body, page, bottom = rest.partition(SEAMS["page"])
    if not (title and scripts and page):
        raise ValueError("this page.html leaves out the title, the scripts or the main block")
    return {"top": top, "head": head, "body": body, "bottom": bottom}


class FrameHandler(GradientAPIHandler):
    """GET /hub/api/gradient/frame?here=usage: the frame of the keeper's pages, for who asks.

    The keeper asks with its visitor's token, so that the deployer's bar, announcement and services
    are on its pages as on the hub's.
    """

    async def get(self) -> None:
        """Answer `top`, `head`, `body`, `bottom`: HTML around title, scripts and page."""
        user = self.current_user
        if getattr(user, "kind", None) != "user":
            raise web.HTTPError(403, "A frame is made for a person.")
        # The token may do less than its owner, whose links these are.
        self.expanded_scopes = scopes.get_scopes_for(user.orm_user)
        self.parsed_scopes = scopes.parse_scopes(self.expanded_scopes)
        sees_all = self.parsed_scopes.get("read:servers") == scopes.Scope.ALL
        host = self.hub_host
        values: dict[str, object] = {}
        if host:
            # On another host a path of the hub's would lead nowhere.
            values = {
                "base_url": host + self.hub.base_url,
                "logout_url": _move_to(host, self.settings["logout_url"]),
                "static_url": lambda path, **kwargs: host + self.static_url(path, **kwargs),
                "gradient_static": self.get_query_argument("static", "")
                or host + url_path_join(self.hub.base_url, "gradient/static/"),
            }
        html = await self.render_template(
            "gradient/frame.html",
            seams={name: Markup(seam) for name, seam in SEAMS.items()},
            here=self.get_query_argument("here", ""),
            visitor={"sees_all": sees_all, "runs_money": bool(user.admin) and sees_all},
            **values,
        )
        try:
            self.write(json.dumps(split_at_seams(html)))
        except ValueError as fault:
            raise web.HTTPError(409, str(fault)) from None

    @property
    def hub_host(self) -> str:
        """Return where the hub's pages are when services have hosts of their own; else ""."""
        app: JupyterHub = self.settings["app"]
        return str(app.hub.public_host or "") if app.subdomain_host else ""


def handlers() -> list[tuple[str, type]]:
    """List the routes below /hub."""
    return [(r"/api/gradient/frame", FrameHandler)]


def _move_to(host: str, url: str) -> str:
    """Return a hub's path as an address on its host; another address stays as it is."""
    return host + url if url.startswith("/") else url
