"""The site: every link leads somewhere, nothing comes from a network, and everybody can read it.

It is opened from its folder in the system's Chromium, as a student would open it.
"""

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    "preload": False,  # it would fetch style sheets, which a page from a folder may not
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
BY_LOOK = ["color-contrast", "target-size", "scrollable-region-focusable"]
"""Rules whose verdict depends on colours and places, not on the page's source alone."""
PARTS = 4  # of the pages, for as many tests
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAPER = {"width": 718, "height": 1047}  # A4 without its margins
SEEN, ALIKE = (Path(__file__).with_name(name) for name in ("seen.js", "alike.js"))
UNLIKE = {"rules": [{"id": "color-contrast", "selector": "*:not([alike])"}]}


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], {"", "__nav"}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found.get("id"), found.get("name")}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in ("img", "script", "link", "iframe", "source"):
            self.loads += [found[key] for key in ("src", "href") if key in found]


@pytest.fixture(scope="session")
def pages(site):
    return {
        path.resolve(): Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
        if path.name != "404.html"  # a server's, with links from its root
    }


def test_every_homework_note_lecture_and_module_has_its_page(site, pages):
    found = {path.relative_to(site.resolve()).as_posix() for path in pages}
    wanted = {f"hw{stage}/index.html" for stage in range(5)} | {"index.html", "project/index.html"}
    for source in (ROOT / "shared" / "notes").rglob("*.md"):
        page = source.relative_to(ROOT).with_suffix(".html").as_posix()
        wanted.add(page.replace("README.html", "index.html"))
    for source in (ROOT / "hw4" / "python" / "needle").rglob("*.py"):
        module = ".".join(source.relative_to(ROOT / "hw4" / "python").with_suffix("").parts)
        wanted |= (
            {f"needle/{module.removesuffix('.__init__')}.html"} if source.stat().st_size else set()
        )
    assert wanted <= found


def test_every_link_leads_somewhere(pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme or parts.netloc:
                continue
            if not target.is_file():
                dead.append(f"{path.name}: {link}")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                dead.append(f"{path.name}: {link}: no such place in that page")
    assert not dead


def test_nothing_is_loaded_from_elsewhere(pages):
    elsewhere = {
        (path.name, name)
        for path, page in pages.items()
        for name in page.loads
        if urlsplit(name).netloc or not (path.parent / unquote(urlsplit(name).path)).exists()
    }
    assert not elsewhere


def test_no_formula_is_left_as_source(site):
    left = {path.name for path in site.rglob("*.html") if "arithmatex" in path.read_text("utf-8")}
    assert not left
    assert "<math" in (site / "hw0" / "index.html").read_text("utf-8")


def faults_of(screen, name, rules):
    """What axe, which a page is given once, finds on the page as it stands; of texts that look alike,
    it measures the contrast of one."""
    if screen.evaluate("typeof axe") == "undefined":
        screen.evaluate(AXE_SCRIPT)
        screen.evaluate("rules => axe.configure(rules)", UNLIKE)
        screen.add_script_tag(path=ALIKE)
    screen.evaluate("markAlike()")
    run = "options => axe.run(options).then(results => results.violations)"
    found = screen.evaluate(run, {**RULES, "runOnly": rules})
    return [
        f"{name}: {item['id']}: {item['help']} {[n['html'][:150] for n in item['nodes'][:3]]}"
        for item in found
    ]


def faults_on_a_screen(screen, name, mode, size, rules):
    """axe finds nothing, and the page is no wider than the screen."""
    screen.set_viewport_size(size)
    screen.emulate_media(color_scheme=mode)
    scheme = {"light": "default", "dark": "slate"}[mode]
    if screen.evaluate("document.body.dataset.mdColorScheme") != scheme:
        screen.locator("[data-md-component=palette] label:visible").click()
    settled = "name => document.body.dataset.mdColorScheme == name && !document.getAnimations()[0]"
    screen.wait_for_function(settled, arg=scheme)
    width = screen.evaluate("document.documentElement.scrollWidth")
    wide = [f"{name}: {width} wide on {size['width']}"] if width > size["width"] else []
    return wide + faults_of(screen, f"{mode} {name}", rules)


def faults_on_paper(screen, name):
    """All of the page is there, in dark ink; a moving figure as its still picture."""
    screen.set_viewport_size(PAPER)
    screen.emulate_media(media="print")
    screen.evaluate("dispatchEvent(new Event('beforeprint'))")
    screen.add_script_tag(path=SEEN)
    faults = [f"{name}: cut off: {part}" for part in screen.evaluate("cutOff()")]
    for figure in screen.locator("figure.moving").all():
        parts = ("img", ".moving__panels", "button >> nth=0")
        shown = [figure.locator(part).is_visible() for part in parts]
        faults += [] if shown == [True, False, False] else [f"{name}: a figure shows {shown}"]
    return faults + faults_of(screen, f"printed {name}", ["color-contrast"])


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_can_be_read_by_everybody(chromium, pages, site, part):
    """On a light desk, on a dark phone, printed from dark mode; and no script fails. A page is loaded
    once. On the phone all of axe's rules look at a folder's first page, for what the phone shows
    besides is the same on the others. NEEDLE_SHOTS names a folder for screenshots and PDFs."""
    shots = os.environ.get("NEEDLE_SHOTS")
    context = chromium.new_context(reduced_motion="reduce")
    context.add_init_script("localStorage.clear()")  # each page begins light, without a click
    screen, faults = context.new_page(), []
    screen.on("pageerror", lambda error: faults.append(str(error)))
    screen.on("requestfailed", lambda request: faults.append(f"{request.url} was not found"))
    first = {path.parent: path for path in sorted(pages, reverse=True)}
    for path in sorted(pages)[part::PARTS]:
        name = path.relative_to(site.resolve()).as_posix()
        file = f"{shots}/{name.replace('/', '-')}"
        screen.emulate_media(media="screen", color_scheme="light")
        screen.set_viewport_size(DESK)
        screen.goto(path.as_uri())
        faults += faults_on_a_screen(screen, name, "light", DESK, RULES["runOnly"])
        if shots:
            screen.screenshot(path=f"{file}-desk.png")
        rules = RULES["runOnly"] if path == first[path.parent] else BY_LOOK
        faults += faults_on_a_screen(screen, name, "dark", PHONE, rules)
        if shots:
            screen.screenshot(path=f"{file}-phone.png")
        faults += faults_on_paper(screen, name)
        if shots and "figure" in screen.content():
            screen.pdf(path=f"{file}.pdf", format="A4")
    context.close()
    assert not faults


def test_one_pale_word_among_many_is_found(chromium, site):
    """In a listing whose other words of its kind look as they should."""
    screen = chromium.new_page()
    screen.goto((site / "hw1" / "index.html").as_uri())
    screen.evaluate("[...document.querySelectorAll('pre .n')].at(-1).style.color = '#ccc'")
    (found,) = faults_of(screen, "hw1", ["color-contrast"])
    screen.close()
    assert "color-contrast" in found and "rgb(204, 204, 204)" in found


def test_figures_and_buttons_are_seen_in_forced_colours(chromium, pages, site):
    context = chromium.new_context(forced_colors="active", viewport=DESK)
    screen, unseen = context.new_page(), []
    for path in sorted(site.glob("shared/notes/*.html")):
        screen.goto(path.as_uri())
        screen.add_script_tag(path=SEEN)
        for figure in screen.locator("figure.moving").all():
            unseen += figure.evaluate("figure => unseen(figure)")
    context.close()
    assert not unseen


def test_the_search_finds_a_word_without_a_server(chromium, site):
    screen = chromium.new_page()
    screen.goto((site / "index.html").as_uri())
    screen.get_by_placeholder("Search").first.fill("perplexity")
    screen.locator(".md-search-result__link").first.wait_for(timeout=20_000)
    assert "erplexity" in screen.locator(".md-search-result__list").inner_text()
    screen.close()
