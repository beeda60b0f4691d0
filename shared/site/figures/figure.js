// The frame of a moving figure: panels drawn as SVG, one step at a time, and words for every step.
//
// A page holds <figure class="moving" data-figure="NAME"> with a still picture. NAME.js calls
// moving(NAME, make), where make(values) describes the figure:
//
//   panels    { key: [title, width, height] }, in pixels; at most 304 wide, for a phone
//   choices   [{ key, label, options: [words] }], what a reader may choose besides the step
//   steps     (chosen) => how many steps there are; chosen is { key: index of the option }
//   draw      (panels, step, chosen) draws every panel anew
//   words     (step, chosen) => the same in a sentence or two, with every number that matters
//   still     { step, chosen }: what the still picture shows; a reader begins with that choice, step 0
//
// figureValues[NAME] are its numbers, computed by needle when the site was built.
"use strict";

const figureValues = {};

function num(value, digits = 3) {
  const text = String(Number(Number(value).toPrecision(digits)));
  return text.replace("-", "\u2212");
}

function tuple(items) {
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
}

function make(name, attributes, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

class Panel {
  constructor(title, width, height) {
    this.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const box = { viewBox: `0 0 ${width} ${height}`, width, height };
    for (const [key, value] of Object.entries(box)) this.svg.setAttribute(key, value);
    this.svg.classList.add("drawn");
    this.title = title;
    this.clear();
  }

  clear() {
    this.svg.replaceChildren();
    this.text(0, 14, this.title, "strong", "start");
  }

  add(name, attributes, text = "") {
    const made = document.createElementNS(this.svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    this.svg.append(made);
    return made;
  }

  text(x, y, words, kind = "", anchor = "middle") {
    this.add("text", { x, y, class: kind, "text-anchor": anchor }, words);
  }

  box(x, y, width, height, kind = "") {
    this.add("rect", { x, y, width, height, class: `box ${kind}` });
  }

  // A box with words in its middle.
  cell(x, y, width, height, words, kind = "", textKind = "") {
    this.box(x, y, width, height, kind);
    if (words !== "") this.text(x + width / 2, y + height / 2 + 4.5, words, textKind);
  }

  // Rows and columns of cells; what(row, column) => [words, kind of the box, kind of the words].
  grid(x, y, rows, columns, width, height, what) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        this.cell(x + column * width, y + row * height, width, height, ...what(row, column));
      }
    }
  }

  line(x1, y1, x2, y2, kind = "") {
    this.add("line", { x1, y1, x2, y2, class: `line ${kind}` });
  }

  arrow(x1, y1, x2, y2, kind = "") {
    const length = Math.hypot(x2 - x1, y2 - y1);
    const [u, v] = [(x2 - x1) / length, (y2 - y1) / length];
    const back = [x2 - 8 * u, y2 - 8 * v];
    this.line(x1, y1, back[0], back[1], kind);
    const points = [[x2, y2], [back[0] - 4 * v, back[1] + 4 * u], [back[0] + 4 * v, back[1] - 4 * u]];
    const d = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    this.add("polygon", { points: d, class: `tip ${kind}` });
  }

  path(points, kind = "") {
    const d = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    this.add("polyline", { points: d, class: `line ${kind}` });
  }
}

class MovingFigure {
  constructor(place, figure) {
    this.figure = figure;
    this.chosen = { ...figure.still.chosen };
    this.step = 0;
    this.panels = {};
    const panels = make("div", { class: "moving__panels" });
    for (const [key, [title, width, height]] of Object.entries(figure.panels)) {
      this.panels[key] = new Panel(title, width, height);
      this.panels[key].svg.setAttribute("aria-hidden", "true"); // the words say it
      panels.append(this.panels[key].svg);
    }
    this.words = make("p", { class: "moving__words", role: "status" });
    place.prepend(panels, this.controls(), this.words);
    this.fold(place.querySelector("img"));
    this.show();
  }

  // The still picture and its words, for whoever wants them.
  fold(picture) {
    const more = make("details", { class: "moving__still" });
    picture.replaceWith(more);
    more.append(make("summary", {}, "Still picture, and what it shows"), make("p", {}, picture.alt), picture);
    picture.alt = "";
    let open = false; // on paper it stands in the moving figure's place
    addEventListener("beforeprint", () => ([open, more.open] = [more.open, true]));
    addEventListener("afterprint", () => (more.open = open));
  }

  controls() {
    const bar = make("div", { class: "moving__controls" });
    for (const { key, label, options } of this.figure.choices ?? []) {
      const select = make("select", { "aria-label": label });
      options.forEach((words, index) => select.append(make("option", { value: index }, words)));
      select.value = this.chosen[key];
      select.addEventListener("change", () => {
        this.chosen[key] = Number(select.value);
        this.go(Math.min(this.step, this.last()));
      });
      const named = make("label", {}, label);
      named.append(select);
      bar.append(named);
    }
    this.slider = make("input", { type: "range", min: 0, "aria-label": "Step" });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.back = this.button("Back", () => this.go(this.step - 1));
    this.next = this.button("Next", () => this.go(this.step + 1));
    this.play = this.button("Play", () => this.toggle());
    this.play.classList.add("moving__play");
    const steps = make("span", { class: "moving__steps" });
    steps.append(this.back, this.next, this.play, this.slider);
    bar.append(steps);
    return bar;
  }

  button(words, action) {
    const made = make("button", { type: "button" }, words);
    made.addEventListener("click", () => {
      if (made !== this.play) this.pause();
      action();
    });
    return made;
  }

  last() {
    return Math.max(0, this.figure.steps(this.chosen) - 1);
  }

  go(step) {
    this.step = Math.min(Math.max(0, step), this.last());
    this.show();
  }

  toggle() {
    if (this.timer) return this.pause();
    if (this.step === this.last()) this.go(0);
    this.play.textContent = "Pause";
    const pace = Math.min(1400, Math.max(120, 20000 / (this.last() + 1)));
    this.timer = setInterval(() => {
      this.go(this.step + 1);
      if (this.step === this.last()) this.pause();
    }, pace);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
  }

  show() {
    this.slider.max = this.last();
    this.slider.value = this.step;
    this.slider.setAttribute("aria-valuetext", `step ${this.step} of ${this.last()}`);
    for (const [button, off] of [[this.back, this.step === 0], [this.next, this.step === this.last()]]) {
      button.setAttribute("aria-disabled", off); // not `disabled`, which would drop the focus
    }
    for (const panel of Object.values(this.panels)) panel.clear();
    this.figure.draw(this.panels, this.step, this.chosen);
    this.words.textContent = this.figure.words(this.step, this.chosen);
  }
}

function moving(name, describe) {
  for (const place of document.querySelectorAll(`figure.moving[data-figure="${name}"]`)) {
    place.moving = new MovingFigure(place, describe(figureValues[name]));
    place.classList.add("moving--alive");
  }
}
