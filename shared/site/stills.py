"""Draw the still pictures of the moving figures anew: `stills.py [FOLDER]`, to shared/notes/figures.

Chromium runs each figure's own script and shows the step that the script names; its panels, side by
side, become one SVG with the colours of both modes. So a picture and its figure cannot differ.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from moving import figures
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH, GAP = 640, 16
SVG = "http://www.w3.org/2000/svg"


def style(css: str) -> str:
    """The rules of `.drawn` with the colours of light mode, then those of dark mode for who asks."""
    light, dark = (
        dict(re.findall(r"(--[\w-]+): (#\w+);", css.split(mode + " {", 1)[1].split("}", 1)[0]))
        for mode in (":root", '[data-md-color-scheme="slate"]')
    )
    rules = "\n".join(re.findall(r"^\.drawn[^\n]*$", css, re.M))

    def coloured(colours):
        return re.sub(r"var\((--[\w-]+)\)", lambda found: colours[found[1]], rules)

    return f"{coloured(light)}\n@media (prefers-color-scheme: dark) {{\n{coloured(dark)}\n}}\n"


def picture(panels: list[str], css: str) -> str:
    """Panels, each an SVG, as one: from left to right, a new row where the width is used up."""
    x = y = height = width = 0
    placed = []
    for panel in panels:
        wide, high = (int(re.search(rf' {side}="(\d+)"', panel)[1]) for side in ("width", "height"))
        if x and x + wide > WIDTH:
            x, y, height = 0, y + height + GAP, 0
        placed.append(panel.replace("<svg ", f'<svg x="{x + GAP}" y="{y + GAP}" ', 1))
        x, height, width = x + wide + GAP, max(height, high), max(width, x + wide)
    size = width + 2 * GAP, y + height + 2 * GAP
    head = f'<svg xmlns="{SVG}" class="drawn" viewBox="0 0 {size[0]} {size[1]}" '
    head += f'width="{size[0]}" height="{size[1]}">\n<style>\n{style(css)}</style>\n'
    ground = f'<rect class="box" width="{size[0]}" height="{size[1]}" style="stroke:none"/>\n'
    body = "\n".join(placed).replace(f' xmlns="{SVG}"', "").replace("><", ">\n<")
    whole = head + ground + body + "\n</svg>\n"
    ElementTree.fromstring(whole)  # it must be well-formed
    return whole


def stills(scripts: Path, browser) -> dict[str, str]:
    """Name of each figure -> its picture. `scripts` holds what moving.figures wrote."""
    css = (scripts / "figures.css").read_text(encoding="utf-8")
    found = {}
    for values in sorted((scripts / "values").glob("*.js")):
        name = values.stem
        page = browser.new_page()
        page.set_content(f'<figure class="moving" data-figure="{name}"><img alt=""></figure>')
        for script in (scripts / "figure.js", values, scripts / f"{name}.js"):
            page.add_script_tag(path=script)
        panels = page.evaluate(
            """() => {
                const { moving } = document.querySelector("figure.moving");
                moving.go(moving.figure.still.step);
                return Object.values(moving.panels).map(({ svg }) => new XMLSerializer().serializeToString(svg));
            }"""
        )
        found[name] = picture(panels, css)
        page.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT / "shared" / "notes" / "figures"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    target = parser.parse_args().folder
    target.mkdir(parents=True, exist_ok=True)
    chromium = subprocess.run(["which", "chromium"], capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        scripts = Path(scratch) / "scripts"
        figures(Path(scratch) / "solved", scripts)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, drawn in stills(scripts, browser).items():
            (target / f"{name}.svg").write_text(drawn, encoding="utf-8")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
