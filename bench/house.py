"""Counts over the source tree: banned identifiers, loose types, positional calls, docstrings, sizes, and start-up time.

All counts cover the five top-level packages and come from the syntax tree, so that prose and comments do not matter:

- Banned identifiers: each use of a name that has one of `BANNED` among its words, whether written in snake case or camel
  case. Names in expressions, attributes, parameters, keyword arguments, functions, classes and imports count; `NotFound` in
  the names of errors does not.
- Loose mappings: each `dict[str, Any]`, `Mapping[str, Any]` and the same with `object` for a value, wherever it is written,
  and each use of a module's alias for one of them.
- Positional constructor calls: calls of a class of the tree with five or more positional arguments; `*values` is one of them.
- Documented arguments: the share of public functions with two or more parameters whose docstring has an `Args:` section.
  Functions and classes with a leading underscore, and functions inside functions, are not public.
- Code lines: lines with a token of code; blank lines, comments and docstrings are left out.
- Long functions: those of more than 25 lines without decorators and docstring.

Start-up times are user and system CPU seconds of a child process, the median of five. `python -m bench.house --json [FOLDER]`
prints the counts of this or another checkout as one JSON object, with each banned identifier and without start-up times.
"""

from __future__ import annotations

import ast
import io
import json
import re
import resource
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import figures
from bench.figures import Figure, at_least, at_most

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "infra", "rl", "tasks", "storage")
BANNED = (
    *("told", "asked", "said", "found", "made", "taken", "shown", "held"),
    *("there", "standing", "ran", "lack", "at_hand", "wanted", "usual", "beside"),
)
BOUNDS: Mapping[str, tuple[float, float]] = {
    "banned identifiers": (150, 2376),
    "loose mappings": (120, 377),
    "positional constructor calls": (0, 73),
    "code lines": (18_200, 18_174),
}
"""Count -> most that it may be, and what it was at commit 8a64f1c."""
COMMANDS: Mapping[str, tuple[float, float]] = {"--help": (0.4, 4.2), "evaluate --help": (0.6, 4.5)}
"""Arguments of `stvg` -> most CPU seconds, and what it took at commit 8a64f1c on two busy cores."""

_DOCUMENTED = "documented arguments, per cent"
_CODELESS = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_MANY_ARGUMENTS, _LONG_FILE, _LONG_FUNCTION, _RUNS = 5, 200, 25, 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


def run() -> list[Figure]:
    """Count the house and time the start of its commands."""
    numbers = counts(ROOT)
    share = numbers.pop(_DOCUMENTED)
    rows = [at_most(name, numbers.pop(name), bound, f"{before:g} before") for name, (bound, before) in BOUNDS.items()]
    rows.append(at_least(_DOCUMENTED, share, 60, "19 before"))
    rows += [figures.told(name, number, "for comparison") for name, number in numbers.items()]
    for arguments, (bound, before) in COMMANDS.items():
        seconds = cpu_seconds(arguments.split())
        rows.append(at_most(f"stvg {arguments}, CPU s", seconds, bound, f"median of {_RUNS}; {before:g} before"))
    return rows


def counts(root: Path) -> dict[str, float]:
    """All counts of a checkout by their names.

    Args:
        root: folder of the checkout.
    """
    texts = _texts(root)
    trees = [ast.parse(text) for text in texts]
    public = [function for tree in trees for function in _public_functions(tree) if len(_parameters(function)) > 1]
    with_args = sum("Args:" in (ast.get_docstring(function) or "") for function in public)
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, Function)]
    return {
        "banned identifiers": sum(is_banned(name) for tree in trees for name in identifiers(tree)),
        "loose mappings": sum(map(_loose_mappings, trees)),
        "positional constructor calls": _positional_calls(trees),
        "code lines": sum(map(_code_lines, texts, trees)),
        _DOCUMENTED: 100 * with_args / max(1, len(public)),
        "public functions of two or more parameters": len(public),
        "files": len(texts),
        f"files over {_LONG_FILE} lines": sum(text.count("\n") > _LONG_FILE for text in texts),
        f"functions over {_LONG_FUNCTION} lines": sum(len(_lines(f) - _texts_alone(f)) > _LONG_FUNCTION for f in functions),
    }


def banned_names(root: Path) -> list[tuple[str, int]]:
    """(banned identifier, uses) of a checkout, the most used first."""
    return Counter(n for text in _texts(root) for n in identifiers(ast.parse(text)) if is_banned(n)).most_common()


def _texts(root: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]


def cpu_seconds(arguments: Sequence[str]) -> float:
    """User and system seconds of `stvg` with these arguments, the median of some runs.

    Raises:
        CalledProcessError: the command failed.
    """
    command = [str(Path(sys.executable).with_name("stvg")), *arguments]
    return median(_child_seconds(command) for _ in range(_RUNS))


def _child_seconds(command: Sequence[str]) -> float:
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Every use of a name in a module: in expressions, attributes, arguments, definitions and imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.rpartition(".")[2]


def is_banned(name: str) -> bool:
    """Whether one of the words in `BANNED` is among the words of a name, in snake case or camel case."""
    words = f"_{'_'.join(re.findall('[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+', name))}_".lower()
    return any(f"_{word}_" in words for word in BANNED) and "_not_found_" not in words


def _loose_mappings(tree: ast.Module) -> int:
    aliases = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _is_loose(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    uses = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return sum(map(_is_loose, ast.walk(tree))) + sum(name in aliases for name in uses)


def _is_loose(node: ast.AST) -> bool:
    if not isinstance(node, ast.Subscript):
        return False
    return re.fullmatch(r"(\w+\.)?(dict|(Mutable)?Mapping)\[str, (\w+\.)?(Any|object)\]", ast.unparse(node)) is not None


def _positional_calls(trees: Sequence[ast.Module]) -> int:
    nodes = [node for tree in trees for node in ast.walk(tree)]
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    calls = [node for node in nodes if isinstance(node, ast.Call) and len(node.args) >= _MANY_ARGUMENTS]
    return sum(ast.unparse(call.func).rpartition(".")[2] in classes for call in calls)


def _public_functions(tree: ast.Module | ast.ClassDef) -> Iterator[Function]:
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node)


def _parameters(function: Function) -> list[str]:
    a = function.args
    every = [*a.posonlyargs, *a.args, *filter(None, (a.vararg,)), *a.kwonlyargs, *filter(None, (a.kwarg,))]
    return [argument.arg for argument in every if argument.arg not in {"self", "cls"}]


def _lines(node: ast.stmt) -> set[int]:
    """Numbers of the lines of a statement, its decorators left out."""
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _texts_alone(node: ast.AST) -> set[int]:
    """Lines of texts that are statements: docstrings of modules, classes and functions, and those below a constant."""
    alone = [n for n in ast.walk(node) if isinstance(n, ast.Expr) and isinstance(getattr(n.value, "value", None), str)]
    return {line for statement in alone for line in _lines(statement)}


def _code_lines(text: str, tree: ast.Module) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {line for t in tokens if t.type not in _CODELESS for line in range(t.start[0], t.end[0] + 1)}
    return len(code - _texts_alone(tree))


if __name__ == "__main__":
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT
    print(json.dumps({**counts(folder), "names": dict(banned_names(folder))}))
