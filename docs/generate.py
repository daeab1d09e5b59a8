"""Writes the reference pages that come from the code, and sections of others: a lease's phases.

`python docs/generate.py` writes them; with `--check` it only says which are out of date.
"""

import argparse
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import gradienthub
from gradienthub import metrics, spawners, testing
from gradienthub.cli import parser
from gradienthub.hub import traits
from gradienthub.rules.phase import FOLLOWS, Phase
from gradienthub.rules.refusal import STATUS
from gradienthub.service import visitor
from gradienthub.service.site import OPERATIONS
from gradienthub.settings import GradientHub
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.judged import JudgedContainers
from gradienthub.spawners.local import GradientLocalSpawner

REFERENCE = Path(__file__).parent / "reference"
#: The modules whose names are promised; each lists them in its `__all__`.
PUBLIC = (gradienthub, spawners, testing)
NOTE = "<!-- Made by docs/generate.py from the code; edit the help texts there. -->\n"


def settings_page() -> str:
    """Every trait with its help."""
    parts = [NOTE, "# Settings\n"]
    for cls, title in (
        (GradientHub, "`c.GradientHub`"),
        (GradientDockerSpawner, "`c.GradientDockerSpawner`, beside DockerSpawner's own"),
        (GradientLocalSpawner, "`c.GradientLocalSpawner`, beside the local spawner's own"),
    ):
        parts.append(f"## {title}\n")
        if cls is GradientHub:
            own = cls.class_traits(config=True)
        elif cls is GradientLocalSpawner:
            own = cls.class_own_traits(config=True)
        else:
            own = JudgedContainers.class_own_traits(config=True) | cls.class_own_traits(config=True)
        for name, trait in sorted(own.items()):
            parts.append(f"### `{name}`\n")
            parts.append(f"{type(trait).__name__}. {inspect.cleandoc(trait.help)}\n")
    return "\n".join(parts)


def cli_page() -> str:
    """`--help` of every command."""
    main = parser()
    parts = [NOTE, "# Command line\n", _help(main)]
    for name, sub in _commands(main):
        parts += [f"## `{name}`\n", _help(sub)]
    return "\n".join(parts)


def _commands(main: argparse.ArgumentParser, prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for action in main._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                if sub.get_default("old_name"):
                    continue
                full = f"{prefix or 'gradienthub'} {name}"
                found += [(full, sub), *_commands(sub, full)]
    return found


class _Help(argparse.HelpFormatter):
    """The layout of help texts: one width and one column, and alike on each Python."""

    def __init__(self, prog: str) -> None:
        # The width of a terminal must not decide what the page looks like.
        super().__init__(prog, width=96)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        # Python 3.13 measures the arguments in another way; the column is then the same.
        self._action_max_length = self._max_help_position

    def _format_usage(self, *args: Any) -> str:
        # Each Python breaks this line elsewhere: take it whole, and break between arguments.
        self._width, width = 10_000, self._width
        line = super()._format_usage(*args).strip()
        self._width = width
        line = re.sub(r"\[[^]]*\]|\([^)]*\)|--\S+ [A-Z_]+", lambda m: m[0].replace(" ", "\0"), line)
        indent = " " * len(f"usage: {self._prog} ")
        lines = textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        return "\n".join(lines).replace("\0", " ") + "\n\n"

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # Before Python 3.13: "-f FILE, --config FILE".
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


def _help(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = _Help
    return f"```\n{parser.format_help()}```\n"


def refusals_page() -> str:
    """Every code with its status."""
    rows = [f"| `{code}` | {status} |" for code, status in STATUS.items()]
    return "\n".join(
        [
            NOTE,
            "# Refusals\n",
            "Every refusal has a code, a message (what and why) and a hint (what to do now), the",
            "same on the form, in REST bodies and on the pending page.\n",
            "400 invalid, 401 not logged in, 402 money, 403 not entitled, 404 not there, 405 no",
            "such method, 409 own cap or still stopping, 429 too often, 500 a fault of ours,",
            "502 the start failed, 503 no capacity or something is away (with `Retry-After`).\n",
            "| code | status |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def metrics_page() -> str:
    """Every metric as Prometheus names it, with type, labels and help."""
    rows = []
    for metric in metrics.DECLARED:
        [described] = metric.describe()
        name = described.name + ("_total" if described.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "–"
        rows.append(f"| `{name}` | {described.type} | {labels} | {described.documentation} |")
    return "\n".join(
        [
            NOTE,
            "# Metrics\n",
            f"{inspect.cleandoc(metrics.__doc__ or '')}\n",
            "How to scrape them: [metrics for Prometheus](../howto/metrics.md).\n",
            "| metric | type | labels | what it counts |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def rest_v1_page() -> str:
    """Every operation of the keeper's REST API, with who may and what it takes and answers."""
    rows = []
    for operation in OPERATIONS:
        takes = [f"`{name}`" for name in operation.query.model_fields]
        if operation.body is not None:
            takes += [f"body `{name}`" for name in operation.body.model_fields]
        rows.append(
            f"| `{operation.method} {operation.path}` | {operation.summary} | {operation.who} |"
            f" {', '.join(takes) or '–'} |"
        )
    return "\n".join(
        [
            NOTE,
            "# REST v1\n",
            "Below `/services/gradient/api/v1/`, in JSON, with a token of the hub"
            " (`Authorization: token ...`) or a",
            "login. `openapi.json` there has every field. Start and stop are the hub's own calls:"
            " [REST](rest.md).\n",
            "| call | what | who may | takes |",
            "|---|---|---|---|",
            *rows,
            "",
            'Lists answer `{"items": [...], "next": ...}`; send `next` as `after` for the page'
            " after it. Every error has one",
            "shape: `status`, `code`, `message`, `hint`, `field`; the codes are in"
            " [refusals](refusals.md).\n",
            "## Who may what\n",
            inspect.cleandoc(visitor.__doc__ or "").split("\n\n", 1)[1],
            "",
        ]
    )


def traits_page() -> str:
    """Every trait of JupyterHub and its spawners, with what it does on a hub with GradientHub."""
    parts = [
        NOTE,
        "# Traits of JupyterHub, and what becomes of them\n",
        "What a trait that you set does on a hub with GradientHub. **yours**: what its own",
        "documentation says. **ours**: GradientHub sets it, from the lease or from settings of its",
        "own. **without effect**: nothing reads it. The row of the nearest class counts; traits of",
        "classes that are not here are yours. `gradienthub check` prints the rows of the traits",
        "that your configuration sets; the hub's log names those that are not yours.\n",
        "KubeSpawner's and SystemdSpawner's are written from their documentation and not checked",
        "against an installed version.\n",
    ]
    for section, rows in traits.table().items():
        parts += [f"## `c.{section}`\n", "| trait | | why | instead |", "|---|---|---|---|"]
        parts += [
            f"| `{name}` | {row.fate.words} | {row.why} | {row.cure or '–'} |"
            for name, row in sorted(rows.items())
        ]
        parts.append("")
    return "\n".join(parts)


def phases_section() -> str:
    """Draw the steps of a lease's life, and say what holds in each of its phases."""
    alive = [phase for phase in Phase if len(FOLLOWS[phase]) > 1]
    always = frozenset.intersection(*(FOLLOWS[phase] for phase in alive))
    return "\n".join(
        [
            "```mermaid",
            "stateDiagram-v2",
            '    state "open" as alive {',
            f"        [*] --> {alive[0]}",
            *(f"        {phase} --> {after}" for phase in alive for after in _steps(phase, always)),
            "    }",
            *(f"    alive --> {after}" for after in Phase if after in always),
            *(
                f"    {phase} --> {after}"
                for phase in Phase
                if phase not in alive
                for after in _steps(phase, frozenset())
            ),
            f"    {Phase.ENDED} --> [*]",
            "```",
            "",
            "| phase | what holds in it |",
            "|---|---|",
            *(f"| {phase} | {phase.meaning} |" for phase in Phase),
        ]
    )


def _steps(phase: Phase, without: frozenset[Phase]) -> list[Phase]:
    return [after for after in Phase if after in FOLLOWS[phase] - without]


def with_section(text: str, name: str, section: str) -> str:
    """Return a page with the section between its two comments of that name made anew."""
    begin, end = f"<!-- {name}: made by docs/generate.py -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page has no section {name!r}")
    return f"{before}{begin}\n{section}\n{end}{after}"


#: Sections that are made inside of pages that people write.
SECTIONS = {("explanation/lease.md", "phases"): phases_section}


def python_page() -> str:
    """List every name that a configuration or a package of others may import."""
    parts = [
        NOTE,
        "# Python names\n",
        "What a configuration or a package of yours may import. These names, their arguments and",
        "their types change only with a line under *Changed* in the changelog; every other module",
        "may change with any release. The package is typed (`py.typed`).\n",
    ]
    for module in PUBLIC:
        parts += [f"## `{module.__name__}`\n", "| name | what it is |", "|---|---|"]
        for name in sorted(module.__all__):
            words = inspect.getdoc(getattr(module, name)) if name[0] != "_" else "The version."
            first = (words or "").split("\n\n")[0].replace("\n", " ")
            parts.append(f"| `{name}` | {first} |")
        parts.append("")
    return "\n".join(parts)


PAGES = {
    "python.md": python_page,
    "settings.md": settings_page,
    "cli.md": cli_page,
    "refusals.md": refusals_page,
    "metrics.md": metrics_page,
    "rest-v1.md": rest_v1_page,
    "traits.md": traits_page,
}


def main() -> int:
    """Write the pages, or with --check compare them."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    for (name, title), section in SECTIONS.items():
        path = REFERENCE.parent / name
        text = with_section(path.read_text(), title, section())
        if path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    if check and stale:
        print(f"Out of date: {', '.join(stale)}; run `make docs`")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
