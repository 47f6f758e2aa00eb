// Whether the whole of a text has been on the screen. What was not there cannot be allowed.
//
// A text is whole where it is drawn and nothing of it is cut off, or where it was scrolled to its end. It is measured
// when it is drawn, whenever its box changes its size (another tab, a narrower page, zoom) and when it is scrolled.

const FITS = 2; // pixels by which a box may be smaller than its text: browsers round
const EDGE = 6; // pixels of a box around its text: its border and padding

class SeenText {
  // `rows`: how far a textarea grows by itself; 0 leaves its size. `changed` is called when an answer may have changed.
  constructor(node, changed, rows = 0) {
    this.node = node;
    this.changed = changed;
    this.rows = rows;
    this.isDrawn = false;
    this.isCut = false;
    this.wasOnScreen = false;
    this.width = this.height = 0;
    new ResizeObserver(() => this.measure()).observe(node);
    this.enters = new IntersectionObserver((entries) => this.enter(entries[entries.length - 1]), {
      threshold: [0, 0.25, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1],
    });
    this.enters.observe(node);
    node.addEventListener("scroll", () => this.measure());
  }

  get isWhole() {
    return this.isDrawn && !this.isCut;
  }

  // Returns whether it has just appeared: what appears under a pointer should take no click at once.
  measure() {
    const { width, height } = this.node.getBoundingClientRect();
    const appears = height > 0 && !this.isDrawn;
    this.isDrawn = width > 0 && height > 0;
    if (this.isDrawn) {
      const narrows = width < this.width - FITS;
      while (this.node.rows < this.rows && this.isTooSmall()) this.node.rows += 1;
      const { height: grown } = this.node.getBoundingClientRect();
      if (grown > this.height + FITS && this.height) this.lookAgain();
      [this.width, this.height] = [width, grown];
      if (narrows || appears) this.isRead = false;
      this.isRead = this.isRead || this.isAtEnd();
      this.isCut = this.isTooSmall() && !this.isRead;
    }
    this.changed(appears);
  }

  isTooSmall() {
    const { clientHeight, clientWidth, scrollHeight, scrollWidth } = this.node;
    return scrollHeight > clientHeight + FITS || scrollWidth > clientWidth + FITS;
  }

  isAtEnd() {
    const { clientHeight, clientWidth, scrollHeight, scrollLeft, scrollTop, scrollWidth } = this.node;
    return scrollTop + clientHeight >= scrollHeight - FITS && scrollLeft + clientWidth >= scrollWidth - FITS;
  }

  // Make room for all of it, as far as the window has room; the rest is to be scrolled.
  open() {
    this.node.style.height = "";
    this.rows = Math.max(this.rows, Math.floor((0.7 * window.innerHeight) / 16));
    this.measure();
    this.node.scrollIntoView({ block: "nearest" });
  }

  lookAgain() {
    this.wasOnScreen = false;
    this.enters.unobserve(this.node);
    this.enters.observe(this.node); // which reports where it is now
  }

  enter({ boundingClientRect, intersectionRect, isIntersecting, rootBounds }) {
    const { height, width } = boundingClientRect;
    const fits = height - intersectionRect.height <= EDGE && width - intersectionRect.width <= EDGE;
    const fills = rootBounds && intersectionRect.height > 0.8 * rootBounds.height;
    if (!isIntersecting || !(fits || fills)) return;
    this.wasOnScreen = true;
    this.changed(false);
  }
}
