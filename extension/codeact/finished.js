// What a page adds to finished cards, which are static HTML: buttons that copy, and seconds.

// A finished card is static HTML, in which nothing runs. Its buttons are hidden in a file and in an export; they show in
// a page that has drawn a card, and stay there when that card is closed.
const COPY = "data-codeact-copy";
const COPY_STYLE = `
  [${COPY}] { background: transparent !important; border-radius: 3px; color: inherit; cursor: pointer;
    display: inline-block !important; font: inherit; font-size: 12px; margin: 0; opacity: 0.8; padding: 0 6px !important; }
  [${COPY}]:hover { background: rgba(128, 128, 128, 0.15) !important; opacity: 1; }
  [${COPY}]:focus-visible { outline: 2px solid #337ab7; outline-offset: 1px; }
  [${COPY}]::before { content: attr(title); }
  [${COPY}][aria-label]::before { content: attr(aria-label); }`;

function enableCopyButtons() {
  if (document.getElementById("codeact-copy")) return;
  const style = createElement("style", "", COPY_STYLE);
  style.id = "codeact-copy";
  document.head.append(style);
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element && event.target.closest(`button[${COPY}]`);
    if (!button || !event.isTrusted) return;
    const part = button.getAttribute("data-codeact-of");
    const isCopied = await copyText(part ? readPart(button, part) : button.getAttribute(COPY));
    button.setAttribute("aria-label", isCopied ? "Copied: paste it into a cell" : "This page may not copy");
    setTimeout(() => button.removeAttribute("aria-label"), 4000);
  });
}

// Read the answer or the last program of the finished card that has this button.
function readPart(button, part) {
  const parts = button.closest('[data-codeact="card"]')?.querySelectorAll(`[data-codeact="${part}"]`) || [];
  if (!parts.length) return "";
  const node = parts[parts.length - 1];
  if (part !== "program") return node.innerText.trim();
  return [...node.children].map((line) => line.textContent).join("\n");
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text); // only pages of localhost and of https have a clipboard
    return true;
  } catch {
    const area = createElement("textarea", "", text);
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}

// A finished card has no seconds, so that the file of the notebook does not change when a cell gives the same again. The
// page adds them as long as it is open.
const TIME_KEY = /^[0-9a-f]{12}-(total|parts)$/;
const MAX_TIMES = 400;
const times = new Map();

function showTimes(texts) {
  for (const [key, text] of Object.entries(texts || {})) if (TIME_KEY.test(key)) times.set(key, String(text));
  for (const key of times.keys()) if (times.size > MAX_TIMES) times.delete(key);
  let style = document.getElementById("codeact-times");
  if (!style) {
    style = createElement("style");
    style.id = "codeact-times";
    document.head.append(style);
  }
  const rules = [...times].map(([key, text]) => `[data-codeact-time="${key}"]::before { content: ${quoteForCss(text)}; }`);
  style.textContent = rules.join("\n");
}

function quoteForCss(text) {
  return `"${text.replace(/[^\w .,·:()-]/g, "")}"`;
}
