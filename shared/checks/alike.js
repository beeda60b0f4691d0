// Texts of one look are as readable as one another: contrast is a matter of ink, size and weight, and of
// the grounds that a text lies in, up to the first of its ancestors that is placed by itself. Of each look
// one stands for all; the others get the attribute `alike`, by which test_site.py spares axe's contrast.

const LOOKS =
  "color backgroundColor backgroundImage opacity fontSize fontWeight textShadow filter mixBlendMode".split(" ");

function markAlike() {
  const looks = new Map(), seen = new Set();
  // A part's own look within its ancestors'; whatever is placed by itself has one that is like no other.
  const look = (part) => {
    if (looks.has(part)) return looks.get(part);
    const style = getComputedStyle(part), own = LOOKS.map((name) => style[name]).join();
    const placed = part === document.body || style.position !== "static";
    looks.set(part, (placed ? looks.size : look(part.parentElement)) + own);
    return looks.get(part);
  };
  const text = (part) => [...part.childNodes].map((node) => (node.nodeType === Node.TEXT_NODE ? node.data : "")).join("");
  for (const part of document.body.querySelectorAll("*")) {
    part.removeAttribute("alike");
    const words = text(part).trim(), shown = part.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    // What is switched off may be pale; a single character may be a picture: axe does not judge of them.
    if (!words || !shown || part.closest(":disabled, [aria-disabled=true]")) continue;
    const kind = [look(part), words.length > 1, /\w\w/.test(words)].join();
    part.toggleAttribute("alike", seen.has(kind));
    seen.add(kind);
  }
}
