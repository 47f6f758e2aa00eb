// Makes elements. Text is only ever text: nothing is parsed as markup.

function createElement(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function createButton(name, text, act) {
  const node = createElement("button", name, text);
  node.type = "button";
  node.addEventListener("click", (event) => {
    if (event.isTrusted) act(); // a script in the page must not decide
  });
  return node;
}

// Enter in the reason for a denial denies. Chinese and Japanese input use Enter too, to end a word.
function onEnter(input, act) {
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && event.isTrusted) act();
  });
}

const truncate = (text, max) => (text.length > max ? text.slice(0, max) + "…" : text);
const SLOW = 3; // seconds after which a phase or a call shows its own time
const formatSeconds = (seconds) =>
  seconds < 60 ? `${Math.floor(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
const formatNumber = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 2 });

// What codeact_kernel/render/elements.py writes: a text, or [tag, attributes, ...children]. Other tags become spans, and
// other attributes are left out.
const TAGS = new Set(
  (
    "b blockquote br code details div em h1 h2 h3 h4 h5 h6 hr img li ol p pre s span strong summary table tbody td th " +
    "thead tr ul"
  ).split(" ")
);
const PICTURE = /^data:image\/(png|jpeg);base64,[A-Za-z0-9+/=]*$/;

function buildNode(data) {
  if (typeof data === "string") return document.createTextNode(data);
  const [tag, attributes, ...children] = data;
  const node = document.createElement(TAGS.has(tag) ? tag : "span");
  if (attributes.style) node.style.cssText = attributes.style;
  if ("open" in attributes) node.setAttribute("open", "");
  if ("start" in attributes) node.setAttribute("start", attributes.start);
  if (tag === "img" && PICTURE.test(attributes.src)) {
    node.src = attributes.src;
    node.alt = attributes.alt;
    node.width = attributes.width;
  }
  node.append(...children.map(buildNode));
  return node;
}
