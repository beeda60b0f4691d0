// Three loops for one matrix product: which cache lines are where, and who answered how often.
"use strict";

moving("tiles", ({ side, line, cases }) => {
  const cell = 5.5;
  const matrices = [["A", 8], ["B", 108], ["C", 208]];
  const kinds = { "-": "", 1: "full", 2: "fore" };
  const levels = ["L1", "L2", "memory"];

  function draw({ caches, counts }, step, chosen) {
    const { where, now } = cases[chosen.loop].states[step];
    const perRow = side / line;
    matrices.forEach(([name, x], index) => {
      caches.text(x + (side * cell) / 2, 36, name, "strong");
      for (let row = 0; row < side; row++) {
        for (let part = 0; part < perRow; part++) {
          const level = where[index * side * perRow + row * perRow + part];
          caches.box(x + part * line * cell, 44 + row * cell, line * cell, cell, kinds[level]);
        }
      }
      if (now) {
        const [r0, r1, c0, c1] = now[index];
        const area = [x + c0 * cell, 44 + r0 * cell, (c1 - c0 + 1) * cell, (r1 - r0 + 1) * cell];
        caches.box(...area, "bare now");
      }
    });
    let x = 8;
    for (const [kind, label, room] of [["full", "L1", 44], ["fore", "L2", 44], ["", "memory only", 94], ["bare now", "just used", 0]]) {
      caches.box(x, 148, 14, 10, kind);
      caches.text(x + 20, 157, label, "small", "start");
      x += room + 8;
    }
    const all = Math.log10(Math.max(...cases.flatMap(({ states }) => states.at(-1).found)) + 1);
    cases.forEach(({ name, states }, index) => {
      const y = 30 + index * 56;
      counts.text(4, y + 8, name, index === chosen.loop ? "small strong" : "small", "start");
      levels.forEach((label, level) => {
        const found = states[step].found[level];
        counts.text(52, y + 22 + level * 13, label, "small soft", "end");
        counts.box(58, y + 13 + level * 13, (170 * Math.log10(found + 1)) / all + 0.5, 10, ["full", "fore", "faint"][level]);
        counts.text(300, y + 22 + level * 13, num(found, 6), "small", "end");
      });
    });
  }

  function words(step, chosen) {
    const { name, states } = cases[chosen.loop];
    const { found } = states[step];
    const done = `${name}: ${step} of ${states.length - 1} parts, ${step * 64} multiply-adds. `;
    if (step === 0) return `${done}All numbers are in memory. A model: L1 holds 16 lines of ${line} floats, L2 128; who was used longest ago goes.`;
    return `${done}L1 answered ${found[0]} accesses, L2 ${found[1]}, memory ${found[2]}.`;
  }

  return {
    panels: {
      caches: ["Where each line of four floats is", 304, 166],
      counts: ["Who answered (bars: logarithm)", 304, 200],
    },
    choices: [{ key: "loop", label: "loops", options: cases.map(({ name }) => name) }],
    steps: (chosen) => cases[chosen.loop].states.length,
    draw,
    words,
    still: { step: 40, chosen: { loop: 2 } },
  };
});
