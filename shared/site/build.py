"""Build the course's site: `make site`, or `python shared/site/build.py [FOLDER]`.

The pages are the texts of a release, so that the site shows what students get and no solution:
README.md of the course and of each homework, notes, project, the autograder's pages, and a
reference of needle made from its docstrings. The numbers in moving figures come from the solved
library. It opens from its folder, without a server or network.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from coursekit.core import syllabus, tree
from coursekit.staff import release
from moving import figures

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TEXTS = ("README.md", "CHANGELOG.md", "hw*/README.md", "shared/notes", "project", "shared/mugrade/docs",
         "shared/mugrade/README.md", "shared/cluster/README.md")  # fmt: skip
LINK = re.compile(r"(\]\(<?)([^)#>\s]+)")
PICTURES = {".svg", ".png"}


def pages(students: Path, docs: Path) -> None:
    """Copy the texts of a students' tree, and what they link to, to `docs`; same places."""
    texts = {path for pattern in TEXTS for path in students.glob(pattern)}
    texts |= {inner for path in texts if path.is_dir() for inner in path.rglob("*.md")}
    for text in sorted(path for path in texts if path.is_file()):
        target = docs / text.relative_to(students)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(linked(text, students, docs), encoding="utf-8")


def linked(text: Path, students: Path, docs: Path) -> str:
    """The text with its links as a site needs them; what is no page of its own is copied along."""

    def follow(found: re.Match[str]) -> str:
        before, name = found.groups()
        source = (text.parent / name).resolve()
        if "://" in name or not source.exists() or source.suffix == ".md":
            return found[0]
        if source.is_dir():
            return f"{before}{name.rstrip('/')}/README.md"
        shown = name if source.suffix in PICTURES else f"{name}.txt"  # a browser shows, not saves
        target = docs / os.path.relpath(text.parent / shown, students)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return before + shown

    return LINK.sub(follow, text.read_text(encoding="utf-8"))


def listing(folder: Path, title: str) -> None:
    """A first page for a folder of pages that has none: their titles."""
    rows = [f"# {title}", ""]
    for path in sorted(folder.glob("*/*.md")):
        heading = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        rows.append(f"- [{heading}]({path.relative_to(folder).as_posix()})")
    (folder / "README.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


def reference(package: Path, docs: Path) -> None:
    """One page for each module of needle, from its docstrings."""
    names = []
    for path in tree.walk(package):
        parts = path.relative_to(package.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if path.suffix == ".py" and path.stat().st_size:
            names.append(module)
    rows = [
        "# needle's reference",
        "",
        "From the docstrings of the last homework, where needle is complete. Each page is a module.",
        "",
    ]
    docs.mkdir()
    for name in names:
        page = f"# {name}\n\n::: {name}\n"
        (docs / f"{name}.md").write_text(page, encoding="utf-8")
        rows.append(f"- [{name}]({name}.md)")
    (docs / "README.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


def build(site: Path) -> int:
    """Write the site to a folder; what stood there goes."""
    with tempfile.TemporaryDirectory(prefix="needle-site-") as folder:
        scratch = Path(folder).resolve()
        students, docs = scratch / "tree", scratch / "docs"
        if faults := release.release(syllabus.load(ROOT), students):
            raise SystemExit("\n".join(map(str, faults)))
        pages(students, docs)
        listing(docs / "project" / "examples", "Examples of projects")
        reference(students / "hw4" / "python" / "needle", docs / "needle")
        shutil.copytree(HERE / "assets", docs / "assets")
        figures(scratch / "solved", docs / "assets" / "figures")
        settings = {
            "NEEDLE_SITE": str(site.resolve()),
            "NEEDLE_SITE_PAGES": str(docs),
            "NEEDLE_SITE_SOURCES": str(students / "hw4" / "python"),
            "NO_MKDOCS_2_WARNING": "true",
        }
        command = [sys.executable, "-m", "mkdocs", "--quiet", "build", "--clean"]
        command += ["--config-file", str(HERE / "mkdocs.yml")]
        return subprocess.run(command, env={**os.environ, **settings}).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "site")
    site = parser.parse_args().folder
    if failed := build(site):
        return failed
    print(f"the site is built; open {site / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
