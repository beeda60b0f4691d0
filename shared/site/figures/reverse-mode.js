// Reverse mode on h = x * x, g = h * h, y = h + g: values forward, then adjoints, node by node.
"use strict";

moving("reverse-mode", ({ nodes }) => {
  const at = { x: [98, 36], h: [98, 136], g: [20, 236], y: [98, 336] };
  const [width, height] = [116, 46];
  const inner = nodes.filter((node) => node.formula);
  const back = [...inner].reverse();
  const seed = inner.length + 1; // the step in which y gets its 1
  const steps = seed + back.length + 2;

  // What each node has received after a step, in the order in which it came.
  function received(step) {
    const found = Object.fromEntries(nodes.map(({ name }) => [name, []]));
    if (step >= seed) found[nodes.at(-1).name].push(1);
    back.slice(0, Math.max(0, step - seed)).forEach((node) => {
      node.sends.forEach(([to, amount]) => found[to].push(amount));
    });
    return found;
  }

  function sum(amounts) {
    const total = amounts.reduce((a, b) => a + b, 0);
    return amounts.length > 1 ? `${amounts.map((a) => num(a)).join(" + ")} = ${num(total)}` : num(total);
  }

  function edges(panel, step) {
    for (const [order, node] of inner.entries()) {
      const uses = {};
      const inputs = node.sends.map(([to]) => to);
      inputs.forEach((to, index) => {
        const twice = inputs.filter((other) => other === to).length > 1;
        const use = (uses[to] = (uses[to] ?? 0) + 1);
        const shift = twice ? (use === 1 ? -14 : 14) : 0;
        const straight = at[to][0] === at[node.name][0] && !twice && node.name === "y" ? 42 : shift;
        const from = [at[to][0] + width / 2 + straight, at[to][1] + height];
        const goal = [at[node.name][0] + width / 2 + (at[to][0] < 60 ? -30 : straight), at[node.name][1]];
        const sends = step === seed + 1 + back.indexOf(node);
        if (sends) {
          panel.arrow(...goal, ...from, "back now");
          const side = goal[0] + from[0] > 2 * at[node.name][0] + width ? 8 : -8;
          const middle = [(goal[0] + from[0]) / 2 + side, (goal[1] + from[1]) / 2 + 5];
          panel.text(...middle, num(node.sends[index][1]), "back", side > 0 ? "start" : "end");
        } else {
          panel.arrow(...from, ...goal, step === order + 1 ? "fore now" : "");
        }
      });
    }
  }

  function draw({ graph, table }, step) {
    const got = received(step);
    edges(graph, step);
    nodes.forEach((node, order) => {
      const [x, y] = at[node.name];
      const computed = step >= order;
      const active = step === order || step === seed + 1 + back.indexOf(node) || (step === seed && node.name === "y");
      const kind = step > order && active ? "back" : computed ? "fore" : "faint dashed";
      graph.box(x, y, width, height, `${kind} ${active ? "now" : ""}`);
      graph.text(x + width / 2, y + 18, node.formula ? `${node.name} = ${node.formula}` : node.name, "strong");
      if (computed) graph.text(x + 10, y + 36, num(node.value), "fore", "start");
      if (got[node.name].length) {
        const total = got[node.name].reduce((a, b) => a + b, 0);
        graph.text(x + width - 10, y + 36, num(total), "back", "end");
      }
    });
    table.text(34, 44, "node", "small soft", "start");
    table.text(120, 44, "value", "small soft", "end");
    table.text(148, 44, "adjoint: what came back", "small soft", "start");
    nodes.forEach((node, row) => {
      const y = 54 + row * 34;
      table.line(24, y, 296, y, "thin");
      table.text(40, y + 22, node.name, "strong", "start");
      if (step >= row) table.text(120, y + 22, num(node.value), "fore", "end");
      if (got[node.name].length) table.text(148, y + 22, sum(got[node.name]), "back", "start");
    });
  }

  function words(step) {
    if (step === 0) return `x = ${num(nodes[0].value)} is given. Nothing is computed yet.`;
    if (step < seed) {
      const node = inner[step - 1];
      return `Forward: ${node.name} = ${node.formula} = ${num(node.value)} (${node.op}).`;
    }
    if (step === seed) return "Backward begins: the derivative of y with respect to itself is 1.";
    const node = back[step - seed - 1];
    if (!node) return `Every use of x has reported: dy/dx = ${sum(received(step).x)}.`;
    const sent = node.sends.map(([to, amount]) => `${num(amount)} to ${to}`).join(" and ");
    return (
      `All uses of ${node.name} have reported, so its adjoint is whole: ${sum(received(step - 1)[node.name])}. ` +
      `${node.op}.gradient sends ${sent}; what meets at a node is added.`
    );
  }

  return {
    panels: { graph: ["The graph", 304, 396], table: ["Values and adjoints", 304, 200] },
    steps: () => steps,
    draw,
    words,
    still: { step: seed + 3, chosen: {} },
  };
});
