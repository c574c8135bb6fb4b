"""What the site needs beyond Markdown: formulas as MathML, and pages of the repository that lie outside of `docs`."""

from __future__ import annotations

import html
import re
from pathlib import Path

import latex2mathml.converter
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#\s]+)\)")
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def _linked() -> set[str]:
    """Files of the repository outside of `docs` that its pages link to."""
    found: set[str] = set()
    for page in (ROOT / "docs").glob("*.md"):
        found |= {target for _, target in _OUTSIDE.findall(page.read_text(encoding="utf-8"))}
    return {name for name in found if (ROOT / name).is_file()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Files that pages link to become files of the site."""
    for name in sorted(_linked()):
        content = (ROOT / name).read_bytes()
        files.append(File.generated(config, f"source/{name}", content=content))
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "contributing.md", content=guide))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files outside lead to their copies; a folder outside is named, not linked."""
    up = "../" * page.file.src_uri.count("/")

    def leads(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if files.get_file_from_path(f"source/{target}"):
            return f"[{text}]({up}source/{target})"
        return text if text.strip("`").strip("/") == target.strip("/") else f"{text} (`{target}`)"

    return _OUTSIDE.sub(leads, markdown)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """TeX becomes MathML, which browsers show without a script."""

    def drawn(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return latex2mathml.converter.convert(html.unescape(match[2]).strip(), display=display)

    return _FORMULA.sub(drawn, content)
