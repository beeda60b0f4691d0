// Three optimizers walk down a narrow valley.
"use strict";

moving("optimizers", ({ curvature, cases }) => {
  const [left, right, low, high] = [-5, 5, -1.7, 1.7];
  const [width, height] = [296, 154];
  const styles = ["back", "good dashed", "fore dotted"];
  const length = cases[0].paths[0].places.length;

  function spot([a, b]) {
    return [4 + ((a - left) / (right - left)) * width, 26 + ((high - b) / (high - low)) * height];
  }

  // The part of a path that the map can show.
  function visible(places) {
    const end = places.findIndex(([a, b]) => Math.abs(a) > 5 || Math.abs(b) > 1.7);
    return end < 0 ? places : places.slice(0, end);
  }

  function draw({ map, losses }, step, chosen) {
    map.box(4, 26, width, height, "bare");
    for (const level of [0.5, 2, 6, 12]) {
      const [rx, ry] = curvature.map((c) => Math.sqrt((2 * level) / c));
      const [cx, cy] = spot([0, 0]);
      map.add("ellipse", { cx, cy, rx: (rx / (right - left)) * width, ry: (ry / (high - low)) * height, class: "line thin" });
    }
    const key = (panel, y) =>
      cases[chosen.rate].paths.forEach(({ name }, index) => {
        const x = [4, 82, 212][index];
        panel.line(x, y - 4, x + 22, y - 4, styles[index]);
        panel.text(x + 27, y, name, "small", "start");
      });
    cases[chosen.rate].paths.forEach(({ places }, index) => {
      const shown = visible(places.slice(0, step + 1)).map(spot);
      map.path(shown, styles[index]);
      const [cx, cy] = shown.at(-1);
      map.add("circle", { cx, cy, r: 4, class: `dot ${styles[index].split(" ")[0]}` });
    });
    key(map, 198);
    const y = (loss) => 172 - (140 * (Math.log10(Math.min(1e3, Math.max(1e-5, loss))) + 5)) / 8;
    for (const power of [-4, -2, 0, 2]) {
      losses.line(50, y(10 ** power), 300, y(10 ** power), "thin");
      losses.text(46, y(10 ** power) + 4, num(10 ** power), "small soft", "end");
    }
    cases[chosen.rate].paths.forEach(({ losses: all }, index) => {
      losses.path(all.slice(0, step + 1).map((loss, t) => [50 + (t * 250) / (length - 1), y(loss)]), styles[index]);
    });
    losses.text(175, 196, `steps, 0 to ${length - 1}`, "small soft");
  }

  function words(step, chosen) {
    const { rate, paths } = cases[chosen.rate];
    const said = paths.map(({ name, losses }) => `${name} ${num(losses[step])}`).join(", ");
    return `Learning rate ${rate}, after ${step} steps. Loss: ${said}.`;
  }

  return {
    panels: { map: ["The valley, from above", 304, 206], losses: ["The loss", 304, 206] },
    choices: [{ key: "rate", label: "learning rate", options: cases.map(({ rate }) => rate) }],
    steps: () => length,
    draw,
    words,
    still: { step: 30, chosen: { rate: 1 } },
  };
});
