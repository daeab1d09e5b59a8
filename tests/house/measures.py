"""Measure the product's own code: size, types and plain English. Run it to see the figures.

python tests/house/measures.py          the figures
python tests/house/measures.py --list   and what each of them counts
"""

import ast
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "gradienthub"
#: First words of docstrings that are verbs in the imperative.
VERBS = frozenset(
    re.findall(
        r"\w+",
        """
    accept act add admit allow amend answer append apply approve arrange ask await be begin bind
    bring build bury cache calculate call cancel carry change charge check choose claim clean clear
    close collect combine come compare compute connect continue convert copy count create cut
    decide declare decode delete derive describe destroy disable do download draw drop empty enable
    encode end enforce ensure enter escape estimate evict explain export extend fetch fill find
    finish follow forget format forward free gather generate get give go grant group guard guess
    handle hash have hide hold import include index initialize insert install join judge keep kill
    lay learn leave let limit link list listen load lock log look lower make map mark match measure
    merge migrate mount move name narrow normalize note notice notify obtain offer open order parse
    pass pay pick place plan poll post prefer prepare price print probe prove provide prune publish
    pull put quote raise read rebuild receive recognize record redirect refresh refund refuse
    register reject release remember remove rename render rent repair replace report request
    require reserve reset resolve restart restore return reuse revoke round run save say see select
    send serve set settle show sign skip sort spell split start stop store strip suggest sum take
    tell test time translate treat trust try turn unbind undo unlink unmount update upgrade use
    validate verify wait warn watch wire withdraw work wrap write yield
    """,
    )
)
#: Above this a function is hard to read at once; above the second it is wrong.
LONG, TOO_LONG = 40, 60
MANY_PARAMETERS = 6
LARGE_CLASS = 300


@dataclass
class Measures:
    """The figures of a package, and the places that each of them counts."""

    lines: int = 0
    functions: int = 0
    docstrings: int = 0
    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def count(self, name: str) -> int:
        """Return how many places a figure counts."""
        return len(self.places[name])

    @property
    def any_in_1000_lines(self) -> float:
        """The word `Any` in 1,000 lines."""
        return 1000 * self.count("Any") / self.lines

    @property
    def noun_first_percent(self) -> float:
        """Docstrings of functions that do not begin with a verb, in per cent."""
        return 100 * self.count("docstring without a verb") / self.docstrings

    def figures(self) -> dict[str, float]:
        """Return each figure by its name."""
        return {
            "lines": self.lines,
            "functions": self.functions,
            "Any in 1,000 lines": round(self.any_in_1000_lines, 1),
            "docstrings without a verb, %": round(self.noun_first_percent, 1),
            **{
                name: self.count(name)
                for name in (
                    "function above 40 lines",
                    "function above 60 lines",
                    "function with more than 6 parameters",
                    "class above 300 lines",
                    "class name in two rooms",
                    "file name in two rooms",
                    "fmt: skip without a reason",
                    "import cycle",
                )
            },
        }


def measure(package: Path = PACKAGE) -> Measures:
    """Measure every module of the package but its generated migrations."""
    result = Measures()
    classes: dict[str, set[str]] = defaultdict(set)
    files: dict[str, set[str]] = defaultdict(set)
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        if "migrations" in inside.parts:
            continue
        text = path.read_text(encoding="utf-8")
        result.lines += text.count("\n")
        room = inside.parts[0] if len(inside.parts) > 1 else ""
        if path.stem != "__init__":
            files[path.stem].add(str(inside))
        for line, comment in _formatter_escapes(path):
            if not re.search(r"fmt: (skip|off)\W+\w+", comment):
                result.places["fmt: skip without a reason"].append(f"{inside}:{line}")
        for node in ast.walk(ast.parse(text)):
            where = f"{inside}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                _measure_function(result, node, where)
            elif isinstance(node, ast.ClassDef):
                if _length(node) > LARGE_CLASS:
                    result.places["class above 300 lines"].append(f"{where} {node.name}")
                if not node.name.startswith("_"):
                    classes[node.name].add(room)
        for number, content in enumerate(text.splitlines(), 1):
            result.places["Any"] += [f"{inside}:{number}"] * len(re.findall(r"\bAny\b", content))
    result.places["class name in two rooms"] = _in_two_places(classes)
    result.places["file name in two rooms"] = _in_two_places(files)
    if package == PACKAGE:
        result.places["import cycle"] = list(_cycles(package.name))
    return result


def _measure_function(
    result: Measures, node: ast.FunctionDef | ast.AsyncFunctionDef, where: str
) -> None:
    result.functions += 1
    place = f"{where} {node.name}"
    length = _length(node)
    if length > LONG:
        result.places["function above 40 lines"].append(f"{place} ({length})")
    if length > TOO_LONG:
        result.places["function above 60 lines"].append(f"{place} ({length})")
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    names = [a.arg for a in arguments if a.arg not in ("self", "cls", "tx")]
    if len(names) > MANY_PARAMETERS:
        result.places["function with more than 6 parameters"].append(f"{place} ({len(names)})")
    # A property is a value: its docstring is a noun phrase.
    if any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
        return
    if docstring := ast.get_docstring(node):
        result.docstrings += 1
        first = docstring.split()[0].strip(".,:;").lower()
        if first not in VERBS:
            result.places["docstring without a verb"].append(f"{place}: {docstring[:60]}")


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _formatter_escapes(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT and re.search(r"fmt: (skip|off)", token.string):
                yield token.start[0], token.string


def _in_two_places(names: dict[str, set[str]]) -> list[str]:
    return [
        f"{name}: {', '.join(sorted(where))}"
        for name, where in sorted(names.items())
        if len(where) > 1
    ]


def _cycles(package: str) -> Iterator[str]:
    """Find modules that need each other, also by imports for type checkers only."""
    graph = grimp.build_graph(package, cache_dir=None)
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            if module != package and imported > module and graph.chain_exists(imported, module):
                yield f"{module} and {imported}"


if __name__ == "__main__":
    measured = measure()
    for name, value in measured.figures().items():
        print(f"{value:>9}  {name}")
    if "--list" in sys.argv:
        for name, places in measured.places.items():
            if name != "Any":
                print(f"\n{name}")
                print("".join(f"    {place}\n" for place in places), end="")
