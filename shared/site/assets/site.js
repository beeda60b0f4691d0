// What the theme leaves out for people without a mouse or a screen: a place for the keyboard in
// whatever scrolls, and names for the buttons beside programs. The theme adds both kinds late.

function mend() {
  for (const box of document.querySelectorAll("math, .md-typeset__scrollwrap, pre > code")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
  document.querySelectorAll(".md-code__nav").forEach((bar, index) => {
    if (!bar.ariaLabel) bar.ariaLabel = `Program ${index + 1}`;
  });
}

new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
addEventListener("resize", mend);
mend();
