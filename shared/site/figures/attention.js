// What a small trained Transformer looks at, character by character.
"use strict";

moving("attention", ({ text, heads }) => {
  const letters = [...text].map((letter) => (letter === " " ? "\u2423" : letter));
  const side = 268 / letters.length;

  function draw({ map, row }, step, chosen) {
    const { weights } = heads[chosen.head];
    letters.forEach((letter, t) => {
      const y = 38 + t * side;
      map.text(22, y + side - 1.5, letter, t === step ? "small strong" : "small");
      map.text(36 + side * (t + 0.5) - 4, 32, letter, t === step ? "small strong" : "small");
      for (let s = 0; s <= t; s++) {
        const cell = { x: 32 + s * side, y, width: side, height: side, class: "box full" };
        map.add("rect", { ...cell, class: "box faint" });
        if (weights[t][s] > 0.005) map.add("rect", { ...cell, "fill-opacity": weights[t][s] });
      }
    });
    map.box(32, 38 + step * side, side * (step + 1), side, "bare now");
    letters.forEach((letter, s) => {
      const x = 18 + s * side;
      const weight = s <= step ? weights[step][s] : 0;
      if (s <= step) row.box(x + 1, 126 - 96 * weight, side - 2, 96 * weight + 0.5, "full");
      row.text(x + side / 2, 142, letter, s === step ? "strong" : s < step ? "" : "soft");
    });
    row.line(18, 126.5, 18 + side * letters.length, 126.5, "thin");
    const x = 18 + (step + 0.5) * side;
    row.arrow(x, 168, x, 148, "now");
    row.text(Math.min(250, Math.max(40, x)), 182, "asks", "small");
  }

  function words(step, chosen) {
    const { name, weights } = heads[chosen.head];
    const best = weights[step].slice(0, step + 1).map((weight, s) => [weight, s]);
    best.sort(([a], [b]) => b - a);
    const said = best.slice(0, 3).map(([weight, s]) => `${num(weight, 2)} to "${text[s]}" at ${s}`).join(", ");
    return `${name}: "${text[step]}", at place ${step}, gives ${said}. Later places get 0: the mask.`;
  }

  return {
    panels: { map: ["Weights: rows ask, columns answer", 304, 312], row: ["Weights of one row", 304, 190] },
    choices: [{ key: "head", label: "head", options: heads.map(({ name }) => name) }],
    steps: () => letters.length,
    draw,
    words,
    still: { step: letters.length - 3, chosen: { head: heads.length - 1 } },
  };
});
