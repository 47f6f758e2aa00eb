// Finds out whether a whole text has been on the screen. A call whose text was not seen whole cannot be allowed.
//
// A text counts as whole if it is drawn and not cut off, or was scrolled to its end. It is measured when it is drawn,
// when it is scrolled, and whenever its box changes its size (another tab, a narrower page, zoom).

const FITS = 2; // pixels by which a box can be smaller than its text, since browsers round
const EDGE = 6; // pixels of a box around its text: its border and padding

class SeenText {
  // `maxRows` is the height to which a textarea grows by itself; 0 keeps its size. `onChange` is called when `isWhole`
  // or `wasOnScreen` can have changed; its argument tells whether the text has just appeared.
  constructor(node, onChange, maxRows = 0) {
    this.node = node;
    this.onChange = onChange;
    this.maxRows = maxRows;
    this.isDrawn = false;
    this.isCut = false;
    this.wasOnScreen = false;
    this.width = this.height = 0;
    new ResizeObserver(() => this.measure()).observe(node);
    this.observer = new IntersectionObserver((entries) => this.enter(entries[entries.length - 1]), {
      threshold: [0, 0.25, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1],
    });
    this.observer.observe(node);
    node.addEventListener("scroll", () => this.measure());
  }

  get isWhole() {
    return this.isDrawn && !this.isCut;
  }

  // Measure the text, and report whether it has just appeared: a form that appears under the pointer should ignore
  // clicks for a moment.
  measure() {
    const { width, height } = this.node.getBoundingClientRect();
    const appears = height > 0 && !this.isDrawn;
    this.isDrawn = width > 0 && height > 0;
    if (this.isDrawn) {
      const narrows = width < this.width - FITS;
      while (this.node.rows < this.maxRows && this.isTooSmall()) this.node.rows += 1;
      const { height: grown } = this.node.getBoundingClientRect();
      if (grown > this.height + FITS && this.height) this.observeAgain();
      [this.width, this.height] = [width, grown];
      if (narrows || appears) this.wasScrolled = false;
      this.wasScrolled = this.wasScrolled || this.isAtEnd();
      this.isCut = this.isTooSmall() && !this.wasScrolled;
    }
    this.onChange(appears);
  }

  isTooSmall() {
    const { clientHeight, clientWidth, scrollHeight, scrollWidth } = this.node;
    return scrollHeight > clientHeight + FITS || scrollWidth > clientWidth + FITS;
  }

  isAtEnd() {
    const { clientHeight, clientWidth, scrollHeight, scrollLeft, scrollTop, scrollWidth } = this.node;
    return scrollTop + clientHeight >= scrollHeight - FITS && scrollLeft + clientWidth >= scrollWidth - FITS;
  }

  // Make room for the whole text, as far as the window has room. The user has to scroll through the rest.
  open() {
    this.node.style.height = "";
    this.maxRows = Math.max(this.maxRows, Math.floor((0.7 * window.innerHeight) / 16));
    this.measure();
    this.node.scrollIntoView({ block: "nearest" });
  }

  observeAgain() {
    this.wasOnScreen = false;
    this.observer.unobserve(this.node);
    this.observer.observe(this.node); // reports the current position
  }

  enter({ boundingClientRect, intersectionRect, isIntersecting, rootBounds }) {
    const { height, width } = boundingClientRect;
    const fits = height - intersectionRect.height <= EDGE && width - intersectionRect.width <= EDGE;
    const fills = rootBounds && intersectionRect.height > 0.8 * rootBounds.height;
    if (!isIntersecting || !(fits || fills)) return;
    this.wasOnScreen = true;
    this.onChange(false);
  }
}
