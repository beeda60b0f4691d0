// One LSTM unit, unrolled over five steps: the memory on its way forward, its adjoint on its way back.
"use strict";

moving("lstm", ({ cases }) => {
  const count = cases[0].steps.length;
  const gap = 57;

  // The cell a step is about, and whether the walk goes back.
  const at = (step) => (step <= count ? step - 1 : 2 * count - step);
  const backward = (step) => step > count;

  function draw({ chain, inside }, step, chosen) {
    const { steps } = cases[chosen.forget];
    const now = at(step);
    const back = backward(step);
    chain.text(4, 96, "c", "strong", "start");
    chain.text(4, 166, "h", "strong", "start");
    chain.text(4, 226, "x", "strong", "start");
    steps.forEach((cell, t) => {
      const x = 22 + t * gap;
      const known = back || t <= now;
      const active = t === now;
      chain.text(x + 24, 36, `t = ${t + 1}`, "small soft");
      chain.box(x, 44, 48, 148, active ? "bare now" : "bare");
      chain.cell(x + 4, 76, 40, 30, known ? num(cell.c, 2) : "", known ? "fore" : "faint dashed", "small");
      chain.cell(x + 4, 146, 40, 30, known ? num(cell.h, 2) : "", known ? "good" : "faint dashed", "small");
      chain.cell(x + 4, 208, 40, 28, num(cell.x), "", "small");
      chain.arrow(x + 24, 208, x + 24, 193);
      if (back && t >= now) chain.text(x + 24, 66, num(cell.adjoint, 2), "small back");
      if (known) chain.arrow(x + 24, 107, x + 24, 145);
      if (t + 1 < count) {
        const goes = back && t + 1 > now && t >= now;
        if (goes) chain.arrow(x + gap + 3, 91, x + 45, 91, t === now ? "back now" : "back");
        else chain.arrow(x + 45, 91, x + gap + 3, 91, !back && t + 1 === now ? "fore now" : "");
      }
    });
    const cell = steps[now];
    if (!cell) return;
    const before = now ? steps[now - 1].c : 0;
    const rows = [
      ["input gate i", cell.i], ["forget gate f", cell.f], ["candidate g", cell.g], ["output gate o", cell.o],
    ];
    rows.forEach(([label, value], row) => {
      const y = 34 + row * 30;
      inside.text(110, y + 15, label, "small", "end");
      inside.box(118, y + 4, 120, 14, "faint");
      inside.box(118, y + 4, Math.max(0.5, 120 * Math.abs(value)), 14, "full");
      inside.text(246, y + 16, num(value, 2), "small", "start");
    });
    inside.text(8, 176, `c' = f \u00b7 c + i \u00b7 g`, "mono", "start");
    inside.text(8, 194, `   = ${num(cell.f, 2)} \u00b7 ${num(before, 2)} + ${num(cell.i, 2)} \u00b7 ${num(cell.g, 2)} = ${num(cell.c, 2)}`, "mono", "start");
    inside.text(8, 218, `h' = o \u00b7 tanh(c') = ${num(cell.h, 2)}`, "mono", "start");
  }

  function words(step, chosen) {
    const { forget, bias, steps } = cases[chosen.forget];
    if (step === 0) return `Five steps of one unit. Only the first input is 1: will it be remembered? The forget gate is ${forget} (bias ${num(bias)}).`;
    const t = at(step);
    const cell = steps[t];
    if (!backward(step)) {
      const before = t ? steps[t - 1].c : 0;
      return `Forward, step ${t + 1}: the memory ${num(before)} is multiplied by f = ${num(cell.f)}, and i \u00b7 g = ${num(cell.i)} \u00b7 ${num(cell.g)} is added: c = ${num(cell.c)}, h = ${num(cell.h)}.`;
    }
    if (t === count - 1) return `Backward from c at step ${count}: its adjoint is ${num(cell.adjoint)}.`;
    const after = steps[t + 1];
    return `Backward, step ${t + 1}: along c the adjoint ${num(after.adjoint)} is multiplied by f = ${num(after.f)} of step ${t + 2}, nothing else: ${num(cell.adjoint)}.`;
  }

  return {
    panels: { chain: ["The unit, unrolled", 304, 244], inside: ["Inside the step", 304, 230] },
    choices: [{ key: "forget", label: "forget gate", options: cases.map(({ forget }) => forget) }],
    steps: () => 2 * count + 1,
    draw,
    words,
    still: { step: 8, chosen: { forget: 0 } },
  };
});
