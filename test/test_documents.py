# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every document and every heading that code, documents and messages cite exists.

Four forms are citations: the path of a Markdown file, also with a heading behind it (``path.md,
"Heading"``); a document by its name alone (``CONTRIBUTING, "Layout"``); a Markdown link, also with
an anchor; and, in code, a module of the package by its dotted name, also with a name in it.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = (
    ".ci",
    ".github",
    "config",
    "docker",
    "docs",
    "launch",
    "quantv2x_msgs",
    "quantv2x_ros",
    "requirements",
    "scripts",
    "test",
)
SUFFIXES = {"", ".md", ".msg", ".py", ".sh", ".txt", ".xml", ".yaml", ".toml", ".cfg"}
#: Ends of file names, which look like dotted names.
FILES = {".bin", ".db3", ".json", ".log", ".mcap", ".npz", ".pcd", ".pt", ".txt", ".yaml", ".zip"}
#: Documents that the program writes for its user, and so are not in the repository.
WRITTEN = {"report.md"}

#: Stands between comments and strings that do not belong together.
PARAGRAPH = "\n¶ "

PATH = re.compile(r"(?<![\w/.:-])((?:\.\./)*[\w-][\w./-]*\.md)\b(?:,? \"([^\"]{1,80})\")?")
NAME = re.compile(r"(?<![\w./-])([A-Z]{4,})(?:, \"([^\"]{1,80})\"|,? sections? \d)")
MODULE = re.compile(
    r"(?<![\w./-])(?:quantv2x_ros\.)?((?:core|data|inference|nodes|training)(?:\.[A-Za-z_]\w+)+)\b(?!\()"
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def prose(path: Path) -> str:
    """Returns the text of a file; of Python the comments and strings alone, one a paragraph."""
    if path.suffix != ".py":
        return path.read_text(encoding="utf-8")
    parts, last = [], -1
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            kind, line = tokenize.tok_name[token.type], token.start[0]
            if kind in ("COMMENT", "STRING", "FSTRING_MIDDLE"):
                is_next = kind == "COMMENT" and line == last + 1
                parts.append(("\n" if is_next else PARAGRAPH) + token.string)
                last = line if kind == "COMMENT" else -1
    return "".join(parts)


def texts() -> Iterator[tuple[Path, str]]:
    """Yields the repository's files that cite, but for this one, with their text."""
    found = [p for p in REPOSITORY.iterdir() if p.suffix in SUFFIXES]
    for folder in FOLDERS:
        found += (p for p in (REPOSITORY / folder).rglob("*") if p.suffix in SUFFIXES)
    for path in sorted(found):
        if path.is_file() and "__pycache__" not in path.parts and path != Path(__file__):
            yield path, prose(path)


@cache
def headings(document: Path) -> frozenset[str]:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    return frozenset(HEADING.findall(text))


def anchor(heading: str) -> str:
    """Returns the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def one_line(text: str) -> str:
    """Returns a text without line ends and the signs of comments, so that citations may wrap."""
    return re.sub(r"\s*\n[ \t]*(?:#:?[ \t])?[ \t]*", " ", text)


def resolve(name: str, source: Path) -> Path | None:
    """Returns the file that a text in the file `source` cites, or None.

    Paths are from the root of the repository or from docs/, in a document also from its folder.
    """
    roots = [source.parent] if source.suffix == ".md" else []
    for root in [*roots, REPOSITORY, REPOSITORY / "docs"]:
        path = (root / name).resolve()
        if path.exists() and path.is_relative_to(REPOSITORY):
            return path
    return None


def is_in_package(name: str) -> bool:
    """Whether a dotted name is a folder or module of the package, or a name in one."""
    *folder, last = name.split(".")
    root = REPOSITORY.joinpath("quantv2x_ros", *folder)
    if (root / last).is_dir() or (root / f"{last}.py").is_file():
        return True
    files = [path for path in (root.with_suffix(".py"), root / "__init__.py") if path.is_file()]
    return any(re.search(rf"\b{last}\b", path.read_text(encoding="utf-8")) for path in files)


def wrong_citations(text: str, source: Path) -> list[str]:
    """Returns what a text in the file `source` cites that does not exist."""
    cited = [(name, heading) for name, heading in PATH.findall(one_line(text))]
    cited += [(f"{name}.md", heading) for name, heading in NAME.findall(one_line(text))]
    wrong = []
    for name, heading in cited:
        document = resolve(name, source)
        if name in WRITTEN and not heading:
            continue
        if document is None:
            wrong.append(name)
        elif heading and heading not in headings(document):
            wrong.append(f'{name}, "{heading}"')
    if source.suffix == ".py":
        names = [name for name in MODULE.findall(one_line(text)) if Path(name).suffix not in FILES]
        wrong += [name for name in names if not is_in_package(name)]
    for target, mark in LINK.findall(text) if source.suffix == ".md" else ():
        if re.match(r"[a-z]+:", target):
            continue
        linked = resolve(target, source) if target else source
        if linked is None or (target and not (source.parent / target).exists()):
            wrong.append(f"({target})")
        elif mark and mark not in {anchor(heading) for heading in headings(linked)}:
            wrong.append(f"({target}#{mark})")
    return wrong


def test_every_document_and_heading_that_is_cited_exists() -> None:
    files = dict(texts())
    assert len(files) > 300
    wrong = {str(p.relative_to(REPOSITORY)): wrong_citations(text, p) for p, text in files.items()}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_the_repository_has_citations_of_each_form() -> None:
    files = dict(texts())
    lines = [one_line(text) for text in files.values()]
    assert sum(1 for text in lines for _, heading in PATH.findall(text) if heading) > 25
    assert any(heading for text in lines for _, heading in NAME.findall(text))
    assert any(mark for p, t in files.items() if p.suffix == ".md" for _, mark in LINK.findall(t))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("#: See NETWORK.md section 3.", ["NETWORK.md"]),
        ("The score (NETWORK section 4).", ["NETWORK.md"]),
        ('As in docs/nowhere.md, "Warp".', ["docs/nowhere.md"]),
        ('As in docs/network.md, "Wrap".', ['docs/network.md, "Wrap"']),
        ('#: A long line that ends in (docs/network.md,\n#: "Wrap").', ['docs/network.md, "Wrap"']),
        ('see CONTRIBUTING, "Lay out"', ['CONTRIBUTING.md, "Lay out"']),
        ('docs/network.md, "Warp", docs/link.md and CONTRIBUTING, "Layout" are there', []),
        ("what `evaluate` writes into report.md", []),
        ("the kernels of core.fusion.fission", ["core.fusion.fission"]),
        ("core.codebook.codebook.codebook_id, nodes.fusion and core.weight_grid are there", []),
    ],
)
def test_a_wrong_citation_in_source_is_found(text: str, wrong: list[str]) -> None:
    assert wrong_citations(text, REPOSITORY / "quantv2x_ros" / "made_up.py") == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[the network](network.md#warp) and [above](#two-words)", ["(#two-words)"]),
        ("[the network](network.md#wrap)", ["(network.md#wrap)"]),
        ("[the network](networks.md)", ["networks.md", "(networks.md)"]),
        ("[the grid](../quantv2x_ros/core/grids.py)", ["(../quantv2x_ros/core/grids.py)"]),
        ("[from the root](docs/network.md)", ["(docs/network.md)"]),
        ("[the paper](https://arxiv.org/abs/2509.03704) and ![a picture](images/rviz.png)", []),
    ],
)
def test_a_wrong_link_in_a_document_is_found(text: str, wrong: list[str]) -> None:
    page = REPOSITORY / "docs" / "link.md"
    assert wrong_citations(text, page) == wrong


def test_anchors_are_those_of_github() -> None:
    assert anchor("What is computed on a CPU") == "what-is-computed-on-a-cpu"
    assert anchor("The ego's own feature") == "the-egos-own-feature"
    assert anchor("manifest.yaml") == "manifestyaml"
