"""Moving figures: the keyboard steps them, and every number they say is NumPy's, computed here anew.

The pages are opened from the site's folder; test_site.py lets axe read them in both modes.
"""

import json
import re
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from coursekit.core import syllabus
from coursekit.staff import release

ROOT = Path(__file__).resolve().parents[2]
NOTES = "shared/notes"
PAGES = {
    "reverse-mode": "automatic-differentiation",
    "broadcasting": "automatic-differentiation",
    "strides": "strides-and-views",
    "tiles": "cache-blocking-and-vectors",
    "block": "gpu-model",
    "convolution": "convolution",
    "lstm": "recurrent-nets",
    "attention": "attention",
    "optimizers": "optimizers",
}


@pytest.fixture(scope="module")
def screen(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    yield page
    context.close()


class Figure:
    """A figure on its page, worked by the keyboard alone."""

    def __init__(self, screen, site, name):
        screen.goto((site / NOTES / f"{PAGES[name]}.html").as_uri())
        self.screen = screen
        self.place = screen.locator(f'figure[data-figure="{name}"]')
        self.values = screen.evaluate(f"figureValues['{name}']")

    def press(self, button):
        self.place.get_by_role("button", name=button).press("Enter")

    @property
    def words(self):
        return self.place.get_by_role("status").inner_text().replace("\u2212", "-")

    @property
    def drawn(self):
        return self.place.locator(".moving__panels").inner_html()

    def choose(self, label, index):
        """Home, then down: as one does without a mouse."""
        box = self.place.get_by_label(label, exact=True)
        box.press("Home")
        for _ in range(index):
            box.press("ArrowDown")

    def walk(self):
        """The words of every step from the first to the last."""
        self.place.get_by_role("slider").press("Home")
        said = [self.words]
        last = int(self.place.get_by_role("slider").get_attribute("max"))
        for _ in range(last):
            self.press("Next")
            said.append(self.words)
        assert len(set(said)) == last + 1 or not last, "every step says something of its own"
        return said


@pytest.fixture
def figure(screen, site, request):
    return Figure(screen, site, request.param)


def of(name):
    return pytest.mark.parametrize("figure", [name], indirect=True)


def numbers(words):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", words)]


def close(found, wanted):
    """To the three digits that figures show."""
    np.testing.assert_allclose(found, wanted, rtol=6e-3, atol=1e-12)


@pytest.mark.parametrize("figure", PAGES, indirect=True)
def test_a_figure_is_worked_by_the_keyboard_and_says_what_it_shows(figure):
    first, picture = figure.words, figure.drawn
    figure.press("Next")
    second = figure.words
    assert second != first and figure.drawn != picture
    figure.press("Back")
    assert figure.words == first and figure.drawn == picture
    figure.press("Back")  # at the start: stays
    assert figure.words == first
    figure.place.get_by_role("slider").press("ArrowRight")
    assert figure.words == second
    figure.place.get_by_text("Still picture").press("Enter")
    still = figure.place.locator("img")
    assert still.evaluate("image => image.naturalWidth") > 300 and still.is_visible()
    assert len(figure.place.locator("details p").inner_text().split()) > 20


@of("reverse-mode")
def test_reverse_mode(figure):
    x, e = 2.0, 1e-6

    def y(h=lambda x: x * x, g=lambda h: h * h, x=x):
        return h(x) + g(h(x))

    adjoints = {
        "x": (y(x=x + e) - y(x=x - e)) / (2 * e),
        "h": (y(h=lambda x: x * x + e) - y(h=lambda x: x * x - e)) / (2 * e),
        "g": (y(g=lambda h: h * h + e) - y(g=lambda h: h * h - e)) / (2 * e),
        "y": 1.0,
    }
    nodes = {node["name"]: node for node in figure.values["nodes"]}
    assert {name: node["value"] for name, node in nodes.items()} == {
        "x": 2,
        "h": 4,
        "g": 16,
        "y": 20,
    }
    for name, adjoint in adjoints.items():
        assert nodes[name]["adjoint"] == pytest.approx(adjoint, rel=1e-6)
    said = figure.walk()
    assert "1 + 4 + 4 = 9" in said[-2] and said[-1].endswith("18 + 18 = 36.")


@of("strides")
def test_strides(figure):
    buffer = np.arange(20, dtype=np.float32)
    x = buffer.reshape(4, 5)
    slices = [
        [eval(f"np.s_[{word}]") for word in figure.values[axis]] for axis in ("rows", "columns")
    ]
    slices = [[s if isinstance(s, slice) else slice(s, s + 1) for s in axis] for axis in slices]
    for name, found in figure.values["views"].items():
        row, column, then = map(int, name.split())
        view = x[slices[0][row], slices[1][column]]
        view = [view, view.T, np.broadcast_to(view[:1], view.shape)][then]
        assert found["shape"] == list(view.shape)
        assert found["places"] == view.ravel().tolist()
        if view.size:
            inside = np.lib.stride_tricks.as_strided(
                buffer[found["offset"] :], view.shape, [4 * s for s in found["strides"]]
            )
            assert (inside == view).all(), name
    figure.choose("rows", 3)
    figure.choose("columns", 2)
    figure.choose("then", 0)
    said = figure.walk()
    assert "x[1:4:2, ::2]: shape (2, 3), strides (10, 2), offset 5." in said[0]
    assert said[-1].endswith(": 5 7 9 15 17 19.")


@of("broadcasting")
def test_broadcasting(figure):
    adjoint = np.array([[1, 10, 100], [2, 20, 200]])
    for index, axes in enumerate([0, 1, None]):
        case = figure.values["cases"][index]
        small = np.array(case["x"]).reshape(case["shape"])
        assert case["big"] == np.broadcast_to(small, (2, 3)).tolist()
        sums = np.ravel(adjoint.sum(axis=axes)).tolist()
        assert case["adjoint"] == sums
        figure.choose("from shape", index)
        assert [numbers(words.split("=")[1])[0] for words in figure.walk()[3:]] == sums


@of("tiles")
def test_cache_model(figure):
    n = 16
    loops = [
        [(i, j, k) for i in range(n) for j in range(n) for k in range(n)],
        [(i, j, k) for i in range(n) for k in range(n) for j in range(n)],
        [(i, j, k) for i0 in range(0, n, 4) for j0 in range(0, n, 4) for k0 in range(0, n, 4)
         for i in range(i0, i0 + 4) for k in range(k0, k0 + 4) for j in range(j0, j0 + 4)],
    ]  # fmt: skip
    for index, loop in enumerate(loops):
        recent, found, held = OrderedDict(), [0, 0, 0], [None] * 3
        for i, j, k in loop:
            for matrix, place in enumerate([(i, k), (k, j), (i, j)]):
                if held[matrix] == place:
                    continue
                held[matrix] = place
                line = (matrix, place[0], place[1] // 4)
                # How many lines were used since: below 16 it is in L1, below 128 in L2.
                since = list(reversed(recent)).index(line) if line in recent else 128
                found[0 if since < 16 else 1 if since < 128 else 2] += 1
                recent.pop(line, None)
                recent[line] = True
                while len(recent) > 128:
                    recent.popitem(last=False)
        figure.choose("loops", index)
        figure.place.get_by_role("slider").press("End")
        answered = re.search(r"L1 answered (\d+) accesses, L2 (\d+), memory (\d+)", figure.words)
        assert [int(number) for number in answered.groups()] == found
        assert str(found[1] + found[2]) in figure.place.locator("details p").text_content()


@of("block")
def test_block(figure):
    a, b = np.array(figure.values["a"]), np.array(figure.values["b"])
    assert (a @ b == figure.values["c"]).all()
    said = figure.walk()
    sums = [words for words in said if "sums are now" in words]
    for pair, words in enumerate(sums, 1):
        product = a[2:4, : 2 * pair] @ b[: 2 * pair, :2]
        assert numbers(words.split("now")[1]) == product.ravel().tolist()
    assert len(sums) == 2 and numbers(said[-1])[:4] == (a @ b)[2:4, :2].ravel().tolist()
    loads = [numbers(words.split("copies")[1])[:3] for words in said if "copies A" in words]
    assert all(a[int(i), int(k)] == value for i, k, value in loads) and len(loads) == 8


@of("convolution")
def test_convolution(figure):
    image, kernel = np.array(figure.values["image"]), np.array(figure.values["kernel"])
    for case in figure.values["cases"]:
        p, s = case["padding"], case["stride"]
        padded, adjoint = np.pad(image, p), np.array(case["adjoint"])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))[::s, ::s]
        assert (np.einsum("yxij,ij->yx", windows, kernel) == case["result"]).all()
        d_image, d_kernel = np.zeros_like(padded), np.zeros_like(kernel)
        for step, (y, x) in enumerate(np.ndindex(*adjoint.shape)):
            d_image[y * s : y * s + 3, x * s : x * s + 3] += adjoint[y, x] * kernel
            d_kernel += adjoint[y, x] * windows[y, x]
            assert (d_image[p : p + 5, p : p + 5] == case["images"][step]).all()
            assert (d_kernel == case["kernels"][step]).all()
    figure.choose("show", 0)
    figure.choose("padding", 0)
    figure.choose("stride", 0)
    results = figure.values["cases"][0]["result"]
    said = [
        words.split(":", 1)[1].replace("\u00b7", "*").split(" (products")[0]
        for words in figure.walk()
    ]
    for words, result in zip(said, np.ravel(results)):
        left, right = words.rsplit("=", 1)
        assert eval(left) == float(right) == result


@of("lstm")
def test_lstm(figure):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for case in figure.values["cases"]:
        forget = sigmoid(case["bias"])
        c = 0.0
        for t, (x, step) in enumerate(zip([1, 0, 0, 0, 0], case["steps"])):
            gate_i, g, o = sigmoid(5 * x - 3), np.tanh(4 * x), sigmoid(2)
            c = forget * c + gate_i * g
            wanted = [x, gate_i, forget, g, o, c, o * np.tanh(c), forget ** (4 - t)]
            found = [step[key] for key in ("x", "i", "f", "g", "o", "c", "h", "adjoint")]
            np.testing.assert_allclose(found, wanted, rtol=1e-4)
    figure.choose("forget gate", 1)
    said = figure.walk()
    close([numbers(words)[-1] for words in said[7:]], [0.5**n for n in range(1, 5)])


@of("attention")
def test_attention(figure):
    text, heads = figure.values["text"], figure.values["heads"]
    for head in heads:
        q, k = np.array(head["queries"]), np.array(head["keys"])
        scores = q @ k.T / np.sqrt(q.shape[1])
        scores[np.triu_indices(len(text), 1)] = -np.inf
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(
            head["weights"], weights, atol=2e-3
        )  # q and k have four decimals
    figure.choose("head", 0)
    for t, words in enumerate(figure.walk()):
        row = np.array(heads[0]["weights"][t])
        pairs = re.findall(r'([\d.]+) to "(.)" at (\d+)', words)
        assert [int(place) for *_, place in pairs] == np.argsort(-row[: t + 1], kind="stable")[
            :3
        ].tolist()
        assert all(text[int(place)] == letter for _, letter, place in pairs)
        np.testing.assert_allclose(
            [float(w) for w, *_ in pairs], np.sort(row)[::-1][: len(pairs)], rtol=0.06
        )


@of("optimizers")
def test_optimizers(figure):
    c = np.array([1.0, 25.0])
    for case in figure.values["cases"]:
        lr, found = case["rate"], {}
        for name in ("SGD", "momentum 0.9", "Adam"):
            p, u, v = np.array([-4.0, 1.0]), np.zeros(2), np.zeros(2)
            places = [p]
            for t in range(1, 61):
                g = c * p
                if name == "Adam":
                    u, v = 0.9 * u + 0.1 * g, 0.999 * v + 0.001 * g * g
                    p = p - lr * u / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
                else:
                    u = 0.9 * u + 0.1 * g if name != "SGD" else g
                    p = p - lr * u
                places.append(p)
            found[name] = np.array(places)
        for path in case["paths"]:
            wanted = found[path["name"]]
            np.testing.assert_allclose(path["places"], wanted, rtol=2e-3, atol=2e-4)
            losses = (c * wanted**2).sum(axis=1) / 2
            np.testing.assert_allclose(path["losses"], losses, rtol=5e-3, atol=1e-5)
    figure.place.get_by_role("slider").press("End")
    losses = [path["losses"][60] for path in figure.values["cases"][1]["paths"]]
    close(numbers(figure.words.split("SGD")[1].replace("momentum 0.9", ""))[:3], losses)


def test_homeworks_show_the_figures_of_the_notes_too(screen, site):
    shown = {
        "hw1": ["broadcasting"],
        "hw3": ["strides", "block"],
        "hw4": ["convolution", "lstm", "attention"],
    }
    for homework, names in shown.items():
        screen.goto((site / homework / "index.html").as_uri())
        for name in names:
            place = screen.locator(f'figure[data-figure="{name}"]')
            before = place.get_by_role("status").inner_text()
            place.get_by_role("button", name="Next").press("Enter")
            assert place.get_by_role("status").inner_text() != before


def test_still_pictures_are_what_the_figures_draw(chromium, site):
    """If not: python shared/site/stills.py"""
    sys.path.insert(0, str(ROOT / "shared" / "site"))
    import stills

    drawn = stills.stills(site / "assets" / "figures", chromium)
    assert sorted(drawn) == sorted(PAGES)
    for name, picture in drawn.items():
        committed = ROOT / NOTES / "figures" / f"{name}.svg"
        assert committed.read_text(encoding="utf-8") == picture, f"{name}: {__doc__}"


def test_reduced_motion_has_no_play_and_without_scripts_the_still_picture_stands(chromium, site):
    page = (site / NOTES / "optimizers.html").as_uri()
    calm = chromium.new_context(reduced_motion="reduce")
    screen = calm.new_page()
    screen.goto(page)
    assert screen.locator(".moving__play").is_hidden() and screen.get_by_role("slider").is_visible()
    calm.close()
    bare = chromium.new_context(java_script_enabled=False)
    screen = bare.new_page()
    screen.goto(page)
    assert screen.locator("figure.moving img").is_visible()
    assert screen.get_by_role("slider").count() == 0
    bare.close()


def test_figures_show_no_line_of_a_solution(site):
    hidden = release.find_leaks(syllabus.load(ROOT), site / "assets" / "figures")
    assert not hidden, json.dumps(list(map(str, hidden)))
