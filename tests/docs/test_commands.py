"""Documents and config heads show commands, links, files and modules that exist."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from aligndet.cli.main import COMMANDS, parser_of
from aligndet.common.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "tools").glob("*.md")),
    *sorted((ROOT / "aligndet" / "configs").rglob("*.md")),
]
HEADS = sorted((ROOT / "aligndet" / "configs").rglob("*.py"))
EARLIER = {"migration.md"}  # names modules and tools that are no more, on purpose
TOP = ("aligndet", "benchmarks", "configs", "docs", "examples", "tests", "tools")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(text: str) -> Iterator[str]:
    """Contents of the code blocks without a language, or of a shell."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        if language in ("", "bash", "sh", "console"):
            yield block


def commands(block: str) -> Iterator[list[str]]:
    """Words behind ``aligndet`` of each command in a block; brackets of optional words fall away."""
    joined = re.sub(r"\\\n\s*(?:#\s)?", " ", block)
    for line in re.findall(r"^(?:#\s*)?aligndet +(\S.*)$", joined, re.M):
        yield shlex.split(re.sub(r"[\[\]]", " ", line), comments=True)


def head(path: Path) -> str:
    """Comments or the docstring that a config opens with."""
    text = path.read_text(encoding="utf-8")
    comments = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return ast.get_docstring(ast.parse(text)) or "\n".join(comments)


def split(words: list[str]) -> tuple[str, list[str]]:
    """The command and its arguments."""
    two = " ".join(words[:2])
    return (two, words[2:]) if two in COMMANDS else (words[0], words[1:])


def parse(words: list[str]) -> None:
    """Parse as the command would, without looking at files and numbers, which are placeholders here."""
    command, rest = split(words)
    assert command in COMMANDS, f"no command {' '.join(words[:2])!r}"
    parser = parser_of(command)
    for action in parser._actions:
        action.type = None
    parser.parse_args(rest)


def mistakes(shown: list[list[str]]) -> list[str]:
    """Commands that do not parse, with the reason."""
    wrong = []
    for words in shown:
        try:
            parse(words)
        except (AssertionError, InputError) as error:
            wrong.append(f"aligndet {' '.join(words)}: {error}")
    return wrong


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_commands_in_blocks_parse(path: Path) -> None:
    shown = [words for block in fences(path.read_text()) for words in commands(block)]
    assert not mistakes([words for words in shown if not words[0].startswith("-")])  # aligndet --help


@pytest.mark.parametrize("folder", sorted({path.parent for path in HEADS}), ids=name)
def test_commands_in_config_heads_parse(folder: Path) -> None:
    assert not mistakes([words for path in HEADS if path.parent == folder for words in commands(head(path))])


def test_commands_are_found_at_all() -> None:
    shown = [words for block in fences((ROOT / "README.md").read_text()) for words in commands(block)]
    assert {split(words)[0] for words in shown} >= {
        "pretrain",
        "train",
        "export",
        "compare",
        "proposals make",
    }


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_commands_in_the_text_exist(path: Path) -> None:
    """In running text a command may stand without its arguments; its options exist."""
    for text in re.findall(r"`aligndet ([a-z][^`]*)`", path.read_text(), re.S):
        command, rest = split(text.split())
        assert command in COMMANDS, text
        options = {word.partition("=")[0] for word in rest if re.match(r"--\w", word)}
        assert options <= set(parser_of(command)._option_string_actions), text


@pytest.mark.parametrize("path", [*TEXTS, ROOT / "CHANGELOG.md"], ids=name)
def test_links_resolve(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def anchors(path: Path) -> set[str]:
    """Names of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def files() -> tuple[str, ...]:
    tops = (ROOT / top for top in TOP)
    return tuple(f"/{path.relative_to(ROOT)}" for top in tops if top.is_dir() for path in top.rglob("*"))


def quoted(path: Path) -> list[str]:
    """What stands in backticks outside code blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_named_files_exist(path: Path) -> None:
    shown = [text for text in quoted(path) if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*/?", text) and "/" in text]
    ours = [text.rstrip("/") for text in shown if text.split("/")[0] in TOP or text.endswith(".py")]
    missing = [t for t in ours if not (ROOT / t).exists() and not any(f.endswith(f"/{t}") for f in files())]
    assert not [text for text in missing if not text.startswith(("my_", "mmdet/"))]


@pytest.mark.parametrize("path", [p for p in TEXTS if p.name not in EARLIER], ids=name)
def test_named_modules_exist(path: Path) -> None:
    for text in quoted(path):
        if match := re.match(r"(?:python -m )?(aligndet(?:\.\w+)+)", text):
            assert resolves(match[1]), text


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that its module (or, below ``aligndet``, any) defines."""
    parts = dotted.split(".")
    place = ROOT
    while parts and ((place / parts[0]).is_dir() or (place / f"{parts[0]}.py").is_file()):
        place = place / parts.pop(0)
    if not parts:
        return True
    source = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
    sources = [source] if place != ROOT / "aligndet" else sorted(place.rglob("*.py"))
    return any(
        re.search(rf"^\s*(?:class|def) {parts[0]}\b|^{parts[0]}\b", s.read_text(), re.M) for s in sources
    )
