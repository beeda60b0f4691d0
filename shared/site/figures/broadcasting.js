// Broadcasting copies; its adjoint sums over the copies.
"use strict";

moving("broadcasting", ({ out_grad: outGrad, cases }) => {
  const [rows, columns] = [2, 3];
  const big = `(${rows}, ${columns})`;

  function places(source, index) {
    const found = [];
    source.forEach((row, i) => row.forEach((from, j) => from === index && found.push([i, j])));
    return found;
  }

  // (3,) and () are drawn as one row.
  const drawn = (shape) => (shape.length === 2 ? shape : [1, shape[0] ?? 1]);

  function draw({ small, copies, adjoint }, step, chosen) {
    const { shape, x, big: values, source, adjoint: sums } = cases[chosen.from];
    const at = step - 3; // the element whose copies are summed
    const mine = (index) => (index === at ? "now" : "");
    const [m, n] = drawn(shape);
    small.text(30, 38, `x, shape ${tuple(shape)}`, "small soft", "start");
    small.grid(30, 46, m, n, 62, 32, (i, j) => [num(x[i * n + j]), `fore ${mine(i * n + j)}`]);
    small.text(30, 148, step < 3 ? "" : "its adjoint", "small soft", "start");
    if (step >= 3) {
      small.grid(30, 156, m, n, 62, 32, (i, j) => {
        const index = i * n + j;
        return index > at ? ["", "faint dashed"] : [num(sums[index]), `back ${mine(index)}`, "back"];
      });
    }
    copies.text(30, 38, step < 1 ? "" : `copies, shape ${big}`, "small soft", "start");
    if (step >= 1) {
      copies.grid(30, 46, rows, columns, 62, 32, (i, j) => [num(values[i][j]), `fore ${mine(source[i][j])}`]);
    }
    copies.text(30, 148, step < 2 ? "" : "out_grad, their adjoint", "small soft", "start");
    if (step >= 2) {
      copies.grid(30, 156, rows, columns, 62, 32, (i, j) => [
        num(outGrad[i][j]), `back ${mine(source[i][j])}`, "back",
      ]);
    }
  }

  function words(step, chosen) {
    const { shape, x, source, adjoint } = cases[chosen.from];
    if (step === 0) return `x has shape ${tuple(shape)}: ${x.map((v) => num(v)).join(", ")}.`;
    if (step === 1) return `broadcast_to(x, ${big}) copies: each element of x stands in ${6 / x.length} places.`;
    if (step === 2) return `Backward: an adjoint of shape ${big} arrives, one number for each copy.`;
    const at = step - 3;
    const terms = places(source, at).map(([i, j]) => num(outGrad[i][j])).join(" + ");
    const last = at === x.length - 1 ? ` So the adjoint of x, of shape ${tuple(shape)}, is whole.` : "";
    return `The adjoint of the ${num(x[at])} is the sum over its copies: ${terms} = ${num(adjoint[at])}.${last}`;
  }

  return {
    panels: {
      small: ["Before", 260, 226],
      copies: ["After broadcasting", 260, 226],
    },
    choices: [
      { key: "from", label: "from shape", options: cases.map(({ shape }) => tuple(shape)) },
    ],
    steps: (chosen) => 3 + cases[chosen.from].x.length,
    draw,
    words,
    still: { step: 4, chosen: { from: 0 } },
  };
});
