// A convolution as a window that moves; its gradients as the same windows, walked back.
"use strict";

moving("convolution", ({ image, kernel, cases }) => {
  const side = image.length;
  const shows = ["the result", "gradient of the image", "gradient of the kernel"];
  const [paddings, strides] = [[0, 1], [1, 2]];

  function chosenCase(chosen) {
    return cases.find((one) => one.padding === paddings[chosen.padding] && one.stride === strides[chosen.stride]);
  }

  function place(step, chosen) {
    const columns = chosenCase(chosen).result[0].length;
    return [Math.floor(step / columns), step % columns];
  }

  function draw({ picture, others }, step, chosen) {
    const { padding, stride, result, adjoint, images, kernels } = chosenCase(chosen);
    const [y, x] = place(step, chosen);
    const back = chosen.show > 0;
    const full = side + 2 * padding;
    const size = 36;
    const pixels = chosen.show === 1 ? images[step] : image;
    const seen = (i, j) => i >= y * stride && i < y * stride + 3 && j >= x * stride && j < x * stride + 3;
    picture.text(8, 36, chosen.show === 1 ? "adjoint of the image, so far" : "the image", "small soft", "start");
    picture.grid(8, 44, full, full, size, 30, (i, j) => {
      const [r, c] = [i - padding, j - padding];
      const inside = r >= 0 && r < side && c >= 0 && c < side;
      const colour = seen(i, j) ? (chosen.show === 1 ? "back" : "fore") : inside ? "" : "faint";
      return [inside ? num(pixels[r][c]) : "0", colour + (inside ? "" : " dashed"), inside ? "" : "soft"];
    });
    picture.box(8 + x * stride * size, 44 + y * stride * 30, 3 * size, 90, "bare now");
    const weights = chosen.show === 2 ? kernels[step] : kernel;
    others.text(8, 36, chosen.show === 2 ? "adjoint of the kernel, so far" : "the kernel", "small soft", "start");
    others.grid(8, 44, 3, 3, size, 26, (i, j) => [num(weights[i][j]), chosen.show === 2 ? "back" : "fore"]);
    others.text(8, 144, back ? "adjoint of the result" : "the result", "small soft", "start");
    const values = back ? adjoint : result;
    others.grid(8, 152, values.length, values[0].length, size, 26, (i, j) => {
      const index = i * values[0].length + j;
      const known = back || index <= step;
      const colour = index === step ? (back ? "back now" : "good now") : known ? "" : "faint dashed";
      return [known ? num(values[i][j]) : "", colour];
    });
  }

  function products(step, chosen) {
    const { padding, stride } = chosenCase(chosen);
    const [y, x] = place(step, chosen);
    const terms = [];
    kernel.forEach((row, i) =>
      row.forEach((weight, j) => {
        const value = image[y * stride + i - padding]?.[x * stride + j - padding];
        if (value && weight) terms.push(`${num(value)}\u00b7${weight < 0 ? `(${num(weight)})` : num(weight)}`);
      }),
    );
    return terms.length ? terms.join(" + ") : "only zeros";
  }

  function words(step, chosen) {
    const { result, adjoint } = chosenCase(chosen);
    const [y, x] = place(step, chosen);
    const here = tuple([y, x]);
    if (chosen.show === 0) return `Result ${here}: ${products(step, chosen)} = ${num(result[y][x])} (products with 0 left out).`;
    const amount = num(adjoint[y][x]);
    const last = step === result.length * result[0].length - 1;
    if (chosen.show === 1) {
      const whole = last ? " Now it is whole: the convolution of the adjoint, spread and padded, with the kernel turned round." : "";
      return `Adjoint ${amount} of result ${here}, times the kernel, is added to the window that this result saw.${whole}`;
    }
    const whole = last ? " Now it is whole: a correlation of the image with the adjoint." : "";
    return `Adjoint ${amount} of result ${here}, times the window that it saw, is added to the kernel's adjoint.${whole}`;
  }

  return {
    panels: { picture: ["What the window sees", 270, 262], others: ["Kernel and result", 250, 290] },
    choices: [
      { key: "show", label: "show", options: shows },
      { key: "padding", label: "padding", options: paddings },
      { key: "stride", label: "stride", options: strides },
    ],
    steps: (chosen) => chosenCase(chosen).result.flat().length,
    draw,
    words,
    still: { step: 4, chosen: { show: 1, padding: 1, stride: 1 } },
  };
});
