// What test_site.py asks a page: is something cut off, is something of a figure invisible?

// Parts of the text that reach beyond the page, or scroll; each by the beginning of its HTML.
function cutOff() {
  const parts = document.querySelectorAll(".md-content :is(pre > code, table, math, img, svg, p, li)");
  const lost = (part) =>
    part.getBoundingClientRect().right > innerWidth + 1 ||
    (part.scrollWidth > part.clientWidth + 1 && !["visible", ""].includes(getComputedStyle(part).overflowX));
  return [...parts].filter((part) => part.checkVisibility() && lost(part)).map((part) => part.outerHTML.slice(0, 100));
}

// Buttons, boxes, lines and words of a figure in nothing but the page's ground.
function unseen(figure) {
  const ground = getComputedStyle(document.body).backgroundColor;
  const colours = (part, style) =>
    part instanceof HTMLElement ? [style.borderTopColor, style.color] : [style.stroke, style.fill];
  const seen = (part) => colours(part, getComputedStyle(part)).some((colour) => ![ground, "none"].includes(colour));
  return [...figure.querySelectorAll("button, select, svg .box, svg text, svg .line")]
    .filter((part) => part.checkVisibility() && !seen(part))
    .map((part) => part.outerHTML.slice(0, 100));
}
