// A CUDA block of 2 x 2 threads computes a tile of a product: load, barrier, add, barrier.
"use strict";

moving("block", ({ a, b, c, sums }) => {
  const [tile, row0] = [2, 2];
  const threads = [[0, 0], [1, 0], [0, 1], [1, 1]]; // (x, y): x is the column
  const perPair = threads.length + 3; // every thread loads; the barrier; sums; the barrier
  const last = 1 + 2 * perPair;

  const name = ([x, y]) => `thread (${x}, ${y})`;

  // What a step shows: the pair of tiles, how many threads have loaded, and what is going on.
  function state(step) {
    if (step === 0) return { what: "start", pair: 0, loaded: 0, done: 0 };
    if (step === last) return { what: "write", pair: 1, loaded: 4, done: 2 };
    const [pair, inside] = [Math.floor((step - 1) / perPair), (step - 1) % perPair];
    if (inside < threads.length) return { what: "load", pair, loaded: inside + 1, done: pair };
    const what = ["barrier", "add", "again"][inside - threads.length];
    return { what, pair, loaded: threads.length, done: what === "barrier" ? pair : pair + 1 };
  }

  // What is in tile_a and tile_b: what this pair's threads loaded, else what the last pair left.
  function held(matrix, step, x, y) {
    const { pair, loaded } = state(step);
    const mine = y * tile + x < loaded ? pair : pair - 1;
    if (mine < 0) return null;
    return matrix === a ? a[row0 + y][mine * tile + x] : b[mine * tile + y][x];
  }

  function doing(step, index) {
    const { what, loaded } = state(step);
    if (what === "start") return ["", "faint"];
    if (what === "load") return index === loaded - 1 ? ["loads two", "good now"] : index < loaded ? ["waits", "hold"] : ["", "faint"];
    if (what === "barrier") return ["goes on", "good"];
    if (what === "add") return ["adds", "good now"];
    if (what === "again") return ["waits", "hold"];
    return ["writes", "good now"];
  }

  function draw({ memory, shared, work }, step) {
    const { what, pair, loaded, done } = state(step);
    const loader = what === "load" ? threads[loaded - 1] : null;
    for (const [matrix, x, label] of [[a, 6, "A"], [b, 162, "B"]]) {
      memory.text(x + 68, 36, label, "strong");
      memory.grid(x, 44, 4, 4, 34, 30, (i, j) => {
        const [y, t] = matrix === a ? [i - row0, j - pair * tile] : [i - pair * tile, j];
        const inside = y >= 0 && y < tile && t >= 0 && t < tile && what !== "write";
        const now = loader && inside && loader[0] === t && loader[1] === y;
        return [num(matrix[i][j]), `${inside ? "fore" : ""} ${now ? "now" : ""}`];
      });
    }
    for (const [matrix, x, label] of [[a, 40, "tile_a"], [b, 196, "tile_b"]]) {
      shared.text(x + 34, 36, label, "small soft");
      shared.grid(x, 44, tile, tile, 34, 30, (y, t) => {
        const value = held(matrix, step, t, y);
        const fresh = y * tile + t < loaded;
        return value === null ? ["", "faint dashed"] : [num(value), fresh ? "fore" : "faint"];
      });
    }
    threads.forEach(([x, y], index) => {
      const [left, top] = [6 + x * 150, 26 + y * 78];
      const [words, kind] = doing(step, index);
      work.box(left, top, 140, 70, kind);
      work.text(left + 70, top + 17, name([x, y]), "small");
      work.text(left + 70, top + 36, `sum = ${num(done ? sums[done - 1][y][x] : 0)}`, "strong");
      work.text(left + 70, top + 57, words, words === "waits" ? "small hold" : "small");
    });
    const shut = what === "load" || what === "again";
    work.line(6, 190, 296, 190, shut ? "hold now" : "dashed");
    work.text(150, 206, what === "start" || what === "write" ? "" : shut ? "__syncthreads(): shut" : "__syncthreads(): open", "small");
  }

  function words(step) {
    const { what, pair, loaded } = state(step);
    if (what === "start") return "Block (0, 1) of a 4 x 4 product: rows 2 and 3, columns 0 and 1 of the result. Each of its 2 x 2 threads computes one number.";
    if (what === "load") {
      const thread = threads[loaded - 1];
      const [x, y] = thread;
      const waiting = loaded > 1 ? ` ${loaded - 1} of 4 threads wait at the barrier.` : "";
      return `Pair ${pair + 1} of tiles: ${name(thread)} copies A[${row0 + y}, ${pair * tile + x}] = ${num(a[row0 + y][pair * tile + x])} and B[${pair * tile + y}, ${x}] = ${num(b[pair * tile + y][x])} to shared memory.${waiting}`;
    }
    if (what === "barrier") return `Pair ${pair + 1}: all four have come to the barrier, so it opens. Both tiles are whole, and every thread may read what the others loaded.`;
    if (what === "add") {
      const rows = sums[pair].map((row) => row.map((v) => num(v)).join(", ")).join("; ");
      return `Pair ${pair + 1}: every thread multiplies its row of tile_a by its column of tile_b and adds. The sums are now ${rows}.`;
    }
    if (what === "again") return `Pair ${pair + 1}: a second barrier. Nobody overwrites a tile before all have read it.`;
    const result = [2, 3].map((i) => c[i].slice(0, 2).map((v) => num(v)).join(", ")).join("; ");
    return `The threads write ${result} to C. The block has loaded 16 numbers from global memory; without shared memory its threads would have loaded 32.`;
  }

  return {
    panels: {
      memory: ["Global memory", 304, 170],
      shared: ["Shared memory of the block", 304, 112],
      work: ["The threads and the barrier", 304, 212],
    },
    steps: () => last + 1,
    draw,
    words,
    still: { step: 3, chosen: {} },
  };
});
