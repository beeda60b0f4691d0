// A slice of a (4, 5) array: which places of the buffer it is, and in which order they are read.
"use strict";

moving("strides", ({ rows, columns, then, views }) => {
  const size = [4, 5];

  const view = (chosen) => views[`${chosen.rows} ${chosen.columns} ${chosen.then}`];

  function code(chosen) {
    const { shape } = view(chosen);
    const after = ["", then[1], `[:1, :].broadcast_to(${tuple(shape)})`][chosen.then];
    return `x[${rows[chosen.rows]}, ${columns[chosen.columns]}]${after}`;
  }

  function draw({ array, buffer, seen, compact }, step, chosen) {
    const { shape, places } = view(chosen);
    const now = places[step];
    const kind = (place) => (place === now ? "hold now" : places.includes(place) ? "fore" : "");
    array.grid(52, 26, ...size, 40, 32, (i, j) => [String(5 * i + j), kind(5 * i + j)]);
    buffer.grid(6, 26, 2, 10, 29, 32, (i, j) => [String(10 * i + j), kind(10 * i + j)]);
    seen.grid(52, 26, ...shape, 40, 28, (i, j) => {
      const index = i * shape[1] + j;
      return [String(places[index]), index === step ? "hold now" : "fore"];
    });
    if (!places.length) seen.text(52, 44, `no element: shape ${tuple(shape)}`, "", "start");
    compact.grid(6, 26, 2, 10, 29, 32, (i, j) => {
      const index = 10 * i + j;
      if (index >= places.length) return ["", "faint dashed"];
      return index > step ? ["", ""] : [String(places[index]), index === step ? "hold now" : "good"];
    });
  }

  function words(step, chosen) {
    const { shape, strides, offset, places } = view(chosen);
    const signature = `${code(chosen)}: shape ${tuple(shape)}, strides ${tuple(strides)}, offset ${offset}. `;
    if (!places.length) return `${signature}It has no element.`;
    const index = [Math.floor(step / shape[1]), step % shape[1]];
    return (
      `${signature}Element ${tuple(index)} stands at ` +
      `${offset} + ${index[0]} \u00b7 ${strides[0]} + ${index[1]} \u00b7 ${strides[1]} = ${places[step]}. ` +
      `compact() has read ${step + 1} of ${places.length}: ${places.slice(0, step + 1).join(" ")}.`
    );
  }

  return {
    panels: {
      array: ["x, shape (4, 5), strides (5, 1)", 304, 160],
      seen: ["The view", 304, 170],
      buffer: ["The buffer of both, 20 places", 304, 100],
      compact: ["What compact() writes", 304, 100],
    },
    choices: [
      { key: "rows", label: "rows", options: rows },
      { key: "columns", label: "columns", options: columns },
      { key: "then", label: "then", options: then },
    ],
    steps: (chosen) => view(chosen).places.length,
    draw,
    words,
    still: { step: 3, chosen: { rows: 1, columns: 2, then: 1 } },
  };
});
