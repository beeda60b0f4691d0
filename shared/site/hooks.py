"""What MkDocs asks while it builds: the order of pages, formulas as MathML, figures that move.

A text shows a still picture, `![words](figures/NAME.svg)`; where figures/NAME.js stands beside this
file, the page shows the moving figure, which keeps the picture and its words for who wants them.
"""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.utils import get_relative_url
from mkdocs.utils.meta import get_data

HOMEWORKS = [f"hw{stage}/README.md" for stage in range(5)]
PICTURE = re.compile(r"<p>(<img [^>]*src=\"[^\"]*figures/([\w-]+)\.svg\"[^>]*>)</p>")
FORMULA = re.compile(
    r"<(span|div) class=\"arithmatex\">(?:\\\((.*?)\\\)|\\\[(.*?)\\\])</\1>", re.DOTALL
)


def on_config(config):
    """The navigation: what stands in each folder, its first page first."""
    pages = Path(config.docs_dir)

    def folder(name, *first):
        found = sorted(path.relative_to(pages).as_posix() for path in (pages / name).rglob("*.md"))
        return [*first, *(page for page in found if page not in first)]

    lectures = folder("shared/notes/lectures", "shared/notes/lectures/README.md")
    notes = [page for page in folder("shared/notes") if page not in lectures]
    config.nav = [
        {"Start": "README.md"},
        {"Homeworks": HOMEWORKS},
        {"Notes": notes},
        {"Lectures": lectures},
        {"Project": folder("project", "project/README.md", "project/topics.md")},
        {"needle": folder("needle", "needle/README.md")},
        {"Autograder": folder("shared/mugrade", "shared/mugrade/README.md")},
        {"Changes": "CHANGELOG.md"},
    ]
    return config


def on_page_markdown(markdown, page, **_):
    """The front in place of the README's heading; what a group fills in, <title>, as words."""
    if page.file.src_uri == "README.md":
        text = Path(__file__).with_name("front.markdown").read_text(encoding="utf-8")
        front, settings = get_data(text)
        page.meta.update(settings)
        return front + markdown.removeprefix(markdown.splitlines()[0])
    if page.file.src_uri.startswith("project/template/"):
        return re.sub(r"<(?=[A-Za-z])", "&lt;", markdown)
    return markdown


def moved(content, page, config):
    """The page with moving figures, and the scripts that these need, in place of still pictures."""
    scripts = []

    def place(found):
        picture, name = found.groups()
        if not (Path(config.docs_dir) / "assets" / "figures" / f"{name}.js").is_file():
            return found[0]
        scripts.extend([f"values/{name}.js", f"{name}.js"])
        return f'<figure class="moving" data-figure="{name}">{picture}</figure>'

    content = PICTURE.sub(place, content)
    for name in dict.fromkeys(["figure.js", *scripts] if scripts else []):
        source = get_relative_url(f"assets/figures/{name}", page.url)
        content += f'\n<script defer src="{source}"></script>'
    return content


def on_page_content(content, page, config, **_):
    """Formulas as MathML, which browsers draw and read out without a script; figures that move."""

    def drawn(found):
        _, inline, block = found.groups()
        formula = html.unescape(inline if block is None else block)
        return convert(formula, display="inline" if block is None else "block")

    content = moved(FORMULA.sub(drawn, content), page, config)
    return re.sub(r"<th([^>]*)></th>", r"<td\1></td>", content)  # a corner heads nothing


def on_post_page(output, **_):
    """The theme's search is a dialog without a name."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
