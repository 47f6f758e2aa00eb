// The live card. The kernel sends plain data, and no text is ever parsed as markup. Clicks are sent back as small
// messages that name the call or program exactly as it was shown, and the kernel checks them.

const CHOICES = [
  ["allow_once", "Allow once"],
  ["allow_cell", "Allow for this cell"],
  ["allow_session", "Allow for this session"],
  ["allow_always", "Allow with exactly these arguments, always"],
];
const CLICK_DELAY = 400; // milliseconds during which a form that has just appeared under the pointer ignores clicks

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

const truncate = (text, max) => (text.length > max ? text.slice(0, max) + "…" : text);
const formatNumber = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 2 });

// ---- a program with its calls and its output ----------------------------------------------------------------------

class Attempt {
  constructor() {
    this.root = createElement("details", "ca-attempt");
    this.summary = createElement("summary");
    this.code = createElement("ol", "ca-code");
    this.code.setAttribute("aria-label", "program");
    this.count = createElement("div", "ca-dim");
    this.calls = createElement("div", "ca-calls");
    this.calls.setAttribute("role", "list");
    this.output = createElement("pre", "ca-output");
    this.output.setAttribute("aria-label", "output");
    this.root.append(this.summary, this.code, this.count, this.calls, this.output);
    this.rows = new Map();
    this.batches = new Map();
    this.drawn = "";
  }

  drawProgram(program, order, isLast) {
    this.summary.textContent = `program ${order}, then another: ${program.reason}`;
    this.root.classList.toggle("ca-last", isLast);
    if (this.isLast !== isLast) this.root.open = this.isLast = isLast;
    const text = JSON.stringify(program.lines);
    if (text === this.drawn) return;
    this.drawn = text;
    this.code.replaceChildren(
      ...program.lines.map((line) => {
        const item = createElement("li");
        for (const [kind, part] of line) item.append(kind ? createElement("span", "ca-" + kind, part) : part);
        return item;
      })
    );
    this.markCallingLines();
  }

  drawRun(run) {
    this.callingLines = run.calling_lines;
    this.markCallingLines();
    const omitted = run.left_out ? `, ${formatNumber(run.left_out)} not shown while it runs` : "";
    const calls = `${formatNumber(run.calls)} tool call${run.calls === 1 ? "" : "s"}`;
    this.count.textContent = run.calls ? calls + omitted : "";
    const shown = new Set(run.rows.map((row) => row.call));
    for (const [call, row] of this.rows)
      if (!shown.has(call)) {
        row.root.remove();
        this.rows.delete(call);
      }
    for (const data of run.rows) this.drawRow(data, run.batches);
    for (const [id, batch] of this.batches)
      if (!(id in run.batches)) {
        batch.root.remove();
        this.batches.delete(id);
      }
    this.output.textContent = run.output;
    this.output.hidden = !run.output;
  }

  markCallingLines() {
    const calling = new Set(this.callingLines || []);
    [...this.code.children].forEach((item, index) => {
      const isCalling = calling.has(index + 1);
      item.classList.toggle("ca-calling", isCalling);
      if (isCalling) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }

  drawRow(data, batches) {
    let row = this.rows.get(data.call);
    if (!row) {
      row = new CallRow();
      this.rows.set(data.call, row);
      (data.batch ? this.rowsOfBatch(data.batch) : this.calls).append(row.root);
    }
    if (data.batch) this.batches.get(String(data.batch)).draw(...batches[data.batch]);
    row.draw(data);
  }

  rowsOfBatch(id) {
    let batch = this.batches.get(String(id));
    if (!batch) {
      batch = new ParallelCalls();
      this.batches.set(String(id), batch);
      this.calls.append(batch.root);
    }
    return batch.rows;
  }
}

class ParallelCalls {
  constructor() {
    this.root = createElement("div", "ca-batch");
    this.bar = createElement("progress");
    this.label = createElement("span", "ca-dim");
    this.rows = createElement("div");
    const head = createElement("div", "ca-progress");
    head.append(this.bar, this.label);
    this.root.append(head, this.rows);
  }

  draw(done, size) {
    this.bar.max = size;
    this.bar.value = done;
    this.label.textContent = `${formatNumber(done)} of ${formatNumber(size)} done, called in parallel`;
    this.bar.setAttribute("aria-label", this.label.textContent);
  }
}

class CallRow {
  constructor() {
    this.root = createElement("div", "ca-row");
    this.root.setAttribute("role", "listitem");
    this.line = createElement("details", "ca-call");
    this.summary = createElement("summary");
    this.text = createElement("code", "ca-text");
    this.result = createElement("span", "ca-result");
    this.decision = createElement("span", "ca-dim");
    this.duration = createElement("span", "ca-duration");
    this.summary.append(this.text, this.result, this.decision, this.duration);
    this.fullText = createElement("pre", "ca-output");
    this.line.append(this.summary, this.fullText);
    this.progress = createElement("div", "ca-progress");
    this.bar = createElement("progress");
    this.progressText = createElement("span", "ca-dim");
    this.progress.append(this.bar, this.progressText);
    this.form = createElement("div");
    this.root.append(this.line, this.progress, this.form);
  }

  draw(data) {
    const drawn = JSON.stringify(data);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.text.textContent = truncate(data.text, 90);
    this.result.textContent = data.is_over ? "→ " + truncate(data.result, 90) : "";
    this.result.classList.toggle("ca-problem", data.is_error);
    this.decision.textContent = data.decision;
    const isWaiting = data.decision === "waiting for you";
    this.duration.textContent = data.is_over ? `${formatNumber(data.ms)} ms` : isWaiting ? "" : "running";
    const isLong = data.text.length > 90 || data.result.length > 90;
    this.fullText.textContent = isLong ? `${data.text}\n→ ${data.result}` : "";
    this.line.classList.toggle("ca-long", isLong);
    this.progress.hidden = !data.progress;
    if (!data.progress) return;
    const [done, total] = data.progress;
    if (total) {
      this.bar.max = total;
      this.bar.value = done;
    }
    this.bar.hidden = !total;
    const amount = `${formatNumber(done)}${total ? " of " + formatNumber(total) : ""}`;
    this.progressText.textContent = `${amount} ${data.progress_text}`;
    this.bar.setAttribute("aria-label", this.progressText.textContent);
  }
}

// ---- the form for a call that needs approval ----------------------------------------------------------------------

class ApprovalForm {
  // `row` is the row of the call, `otherForms` returns the other open forms, `onChange` is called after each change.
  constructor(data, send, row, otherForms, onChange) {
    this.data = data;
    this.send = send;
    this.otherForms = otherForms;
    this.onChange = onChange;
    this.edits = {};
    this.texts = []; // a FieldText for each field
    this.inputs = new Map();
    this.isDecided = false;
    this.root = createElement("section", "ca-form");
    this.root.tabIndex = -1;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", `Allow the call of ${data.name}?`);
    this.checkbox = createElement("input");
    this.checkbox.type = "checkbox";
    this.checkbox.checked = true;
    this.checkbox.setAttribute("aria-label", `select this call of ${data.name}`);
    const title = createElement("div", "ca-title");
    const summary = createElement("span", "ca-dim", data.summary);
    title.append(this.checkbox, createElement("b", "", `Allow ${data.name}?`), summary);
    // Among several forms, a form is one line if the row above shows all arguments, until the user opens or edits it.
    this.unfoldButton = createButton("ca-unfold", "Change or decide alone", () => this.unfold());
    title.append(this.unfoldButton);
    const source = createElement("div", "ca-dim");
    if (data.line) source.append(`line ${data.line}: `, createElement("code", "", truncate(data.source, 200)));
    if (data.upcoming) source.append(`${data.line ? " · " : ""}${data.upcoming}`);
    const untrusted = createElement("div", "ca-untrusted");
    if (data.untrusted)
      untrusted.append(
        "The program has read text that an outsider can write, from ",
        createElement("code", "", data.untrusted)
      );
    this.fields = createElement("div", "ca-fields");
    for (const field of data.fields) this.fields.append(...this.createField(field));
    this.problem = createElement("div", "ca-problem");
    this.problem.setAttribute("role", "alert");
    this.reason = createElement("input", "ca-reason");
    this.reason.placeholder = "reason, for the program (optional)";
    this.reason.setAttribute("aria-label", "reason to deny");
    this.allowButtons = CHOICES.map(([choice, text]) => createButton("ca-allow", text, () => this.decide(choice)));
    this.denyButton = createButton("ca-deny", "Deny", () => this.decide("reject"));
    const allowLine = createElement("div", "ca-buttons");
    const denyLine = createElement("div", "ca-buttons");
    allowLine.append(...this.allowButtons);
    denyLine.append(this.denyButton, this.reason);
    this.root.append(title, source, untrusted, this.fields, this.problem, allowLine, denyLine);
    for (const name of ["focusin", "input"])
      this.root.addEventListener(name, (event) => {
        if (event.target.matches("textarea, select, input:not([type=checkbox])")) this.unfold();
      });
    // While the form is small, the user sees the arguments only in the summary of the row.
    this.rowText = row && data.fits_row ? new SeenText(row.summary, (appears) => this.refresh(appears)) : null;
    this.root.classList.toggle("ca-compact", Boolean(this.rowText));
    this.unfoldButton.hidden = !this.rowText;
    this.delayClicks();
    this.enable(true);
  }

  delayClicks() {
    this.delayedSince = performance.now();
  }

  unfold() {
    this.root.classList.remove("ca-compact");
    this.unfoldButton.hidden = true;
    this.enable(!this.isDecided);
  }

  // Called when a text was measured, or has come onto the screen.
  refresh(appears) {
    if (appears) this.delayClicks();
    for (const text of this.texts) text.draw();
    this.enable(!this.isDecided);
  }

  get isSmall() {
    return this.root.matches(".ca-compact.ca-grouped");
  }

  // The texts that must have been on the screen before the call can be allowed.
  get requiredTexts() {
    return this.isSmall ? [this.rowText] : this.texts.map(({ seen }) => seen);
  }

  get isLocked() {
    return this.isSmall ? !this.rowText.isWhole : this.texts.some((text) => text.isLocked);
  }

  // Scroll to the first text that has not been on the screen. Returns whether there was one.
  scrollToUnseen() {
    const unseen = this.requiredTexts.find((text) => !text.wasOnScreen);
    if (!unseen) return false;
    unseen.node.scrollIntoView({ block: "nearest" });
    this.delayClicks();
    return true;
  }

  get isTouched() {
    return Object.keys(this.edits).length > 0 || this.reason.value !== "" || !this.checkbox.checked;
  }

  createField(field) {
    const label = createElement("label", "", field.label);
    const cell = createElement("div");
    let input;
    if (field.kind === "bool" || field.kind === "choice") {
      input = createElement("select");
      const choices = field.kind === "bool" ? ["true", "false"] : field.choices;
      for (const text of choices) input.append(new Option(text, text));
    } else {
      input = createElement("textarea");
      input.rows = 1;
      if (field.kind === "number") input.inputMode = "decimal";
    }
    cell.append(input);
    input.value = field.text;
    input.spellcheck = false;
    input.setAttribute("aria-label", field.label + (field.kind === "json" ? ", as JSON" : ""));
    input.addEventListener("input", () => {
      this.edits[field.name] = input.value;
      this.problem.textContent = "";
      input.classList.remove("ca-invalid");
      for (const { seen } of this.texts) if (seen.node === input) seen.measure();
    });
    if (field.kind === "choice") {
      // A select cuts a long text without saying so, so the text is repeated below it.
      const fullText = createElement("div", "ca-dim", field.text);
      fullText.classList.add("ca-full-text");
      input.addEventListener("input", () => (fullText.textContent = input.value));
      cell.append(fullText);
      this.texts.push(new FieldText(fullText, field, () => this.refresh(false)));
    } else this.texts.push(new FieldText(input, field, (appears) => this.refresh(appears)));
    if (field.note) cell.append(createElement("div", "ca-untrusted", field.note));
    this.inputs.set(field.label, input);
    const kind = field.kind === "json" ? "JSON" : field.kind;
    label.append(createElement("span", "ca-dim", field.kind === "text" ? "" : ` ${kind}`));
    return [label, cell];
  }

  update(data) {
    this.problem.textContent = data.problem;
    if (data.tries !== this.data.tries) {
      this.isDecided = false;
      this.unfold();
      const [, input] = [...this.inputs].find(([label]) => data.problem.startsWith(label + ":")) || [];
      if (input) {
        input.classList.add("ca-invalid");
        input.focus();
      } else this.problem.scrollIntoView({ block: "nearest" });
    }
    this.data = data;
  }

  enable(isEnabled) {
    for (const node of this.allowButtons) node.disabled = !isEnabled || this.isLocked;
    this.denyButton.disabled = !isEnabled;
    this.onChange();
  }

  get acceptsClicks() {
    return !this.isDecided && performance.now() - this.delayedSince >= CLICK_DELAY;
  }

  decide(choice, reason) {
    if (!this.acceptsClicks || (choice !== "reject" && (this.isLocked || this.scrollToUnseen()))) return;
    if (this.root.contains(document.activeElement)) this.root.focus(); // a disabled button would lose the focus
    this.isDecided = true;
    this.enable(false);
    const { run, call, digest, name } = this.data;
    this.send({ kind: "decide", run, call, digest, choice, reason: reason || this.reason.value, edits: this.edits });
    if (reason === undefined && (choice === "allow_cell" || choice === "allow_session"))
      // Such a decision also allows the waiting calls of this tool that the user has seen whole and not touched. Each
      // call is sent by itself.
      for (const other of this.otherForms()) {
        const isAlike = other.data.name === name && other.data.untrusted === this.data.untrusted;
        const wasSeen = !other.isLocked && other.requiredTexts.every((text) => text.wasOnScreen);
        if (isAlike && wasSeen && !other.isTouched) other.decide("allow_once");
      }
  }
}

// The text of one field. If it is long, or does not fit, the user has to open it before the call can be allowed.
class FieldText {
  constructor(node, field, onChange) {
    this.isLong = field.long;
    this.isOpened = false;
    this.seen = new SeenText(node, onChange, node.rows ? 8 : 0);
    const text = `Show all ${formatNumber(field.text.length)} characters before you decide`;
    this.openButton = createButton("ca-all", text, () => {
      this.isOpened = true;
      this.seen.open();
    });
    this.scrollHint = createElement("div", "ca-all", "Scroll to the end of this text before you decide");
    node.after(this.openButton, this.scrollHint);
    this.draw();
  }

  get isLocked() {
    return !this.seen.isWhole || (this.isLong && !this.isOpened);
  }

  draw() {
    this.openButton.hidden = this.isOpened || !(this.isLong || this.seen.isCut);
    this.scrollHint.hidden = !(this.isOpened && this.seen.isCut);
  }
}

// Decides several calls at once: those whose box is checked.
class BatchDecision {
  constructor() {
    this.root = createElement("section", "ca-form ca-batch-decision");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Decide several calls at once");
    this.title = createElement("b");
    this.selectAll = createElement("input");
    this.selectAll.type = "checkbox";
    this.selectAll.checked = true;
    this.selectAll.setAttribute("aria-label", "select all calls");
    this.selectAll.addEventListener("change", () => {
      this.userSelects = !this.selectAll.checked;
      for (const form of this.forms) form.checkbox.checked = this.selectAll.checked;
      this.refresh();
    });
    this.userSelects = false;
    const title = createElement("label", "ca-title");
    title.append(this.selectAll, this.title);
    this.reason = createElement("input", "ca-reason");
    this.reason.placeholder = "reason, for the program (optional)";
    this.reason.setAttribute("aria-label", "reason to deny the checked calls");
    const allowLine = createElement("div", "ca-buttons");
    const choices = CHOICES.slice(0, 3);
    this.buttons = choices.map(([choice, text]) => createButton("ca-allow", text, () => this.decide(choice)));
    allowLine.append(...this.buttons);
    const denyLine = createElement("div", "ca-buttons");
    this.buttons.push(createButton("ca-deny", "Deny", () => this.decide("reject")));
    denyLine.append(this.buttons[3], this.reason);
    this.root.append(title, allowLine, denyLine);
    this.root.hidden = true;
    this.forms = [];
  }

  draw(forms) {
    this.forms = forms;
    this.delayClicks();
    this.root.hidden = forms.length < 2;
    for (const form of forms) form.root.classList.toggle("ca-grouped", forms.length > 1);
    this.refresh();
  }

  get checkedForms() {
    return this.forms.filter((form) => form.checkbox.checked);
  }

  refresh() {
    const checkedForms = this.checkedForms;
    const [all, checked] = [this.forms.length, checkedForms.length];
    const locked = checkedForms.filter((form) => form.isLocked).length;
    const unseen = checkedForms.filter((form) => form.requiredTexts.some((text) => !text.wasOnScreen)).length;
    const which = checked === 1 ? "the checked one" : `the ${checked} checked ones`;
    const advice = locked
      ? ` To allow, open ${locked === 1 ? "the long text" : `the ${locked} with long texts`} first.`
      : unseen
        ? ` To allow, scroll through them first: ${unseen} ${unseen === 1 ? "was" : "were"} not on the screen yet.`
        : "";
    const hint = checked ? `Decide ${which} here.${advice}` : "None is checked.";
    this.title.textContent = `${all} calls wait for you. ${hint}`;
    this.selectAll.checked = checked === all;
    this.selectAll.indeterminate = checked > 0 && checked < all;
    for (const node of this.buttons) node.disabled = !checked || (locked > 0 && !node.matches(".ca-deny"));
  }

  decide(choice) {
    if (performance.now() - this.delayedSince < CLICK_DELAY) return;
    const forms = this.checkedForms;
    if (choice !== "reject" && forms.some((form) => form.isLocked || form.scrollToUnseen())) return this.delayClicks();
    const reason = this.reason.value;
    this.reason.value = "";
    for (const form of forms) form.decide(choice, reason);
  }

  delayClicks() {
    this.delayedSince = performance.now();
  }

  // Add a new form. Once the user has begun to select, its box is not checked, so that no decision includes it unseen.
  add(form) {
    form.checkbox.checked = !this.userSelects;
    form.checkbox.addEventListener("change", () => {
      this.userSelects = true;
      this.refresh();
    });
  }
}

// ---- the form for a program that needs a review -------------------------------------------------------------------

class ProgramReview {
  constructor(data, send) {
    this.data = data;
    this.delayedSince = performance.now();
    this.root = createElement("section", "ca-form");
    this.root.tabIndex = -1;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Run this program?");
    const text = (this.text = createElement("textarea", "ca-program"));
    text.value = data.program;
    text.rows = Math.min(30, data.program.split("\n").length + 1);
    text.readOnly = !data.editable;
    text.spellcheck = false;
    text.setAttribute("aria-label", "program");
    const problem = (this.problem = createElement("div", "ca-problem", data.problem));
    problem.setAttribute("role", "alert");
    const comment = (this.comment = createElement("input", "ca-reason"));
    comment.placeholder = "what to do otherwise, for the model (without it the cell ends)";
    comment.setAttribute("aria-label", "comment for the model");
    const decide = (choice) => () => {
      if (performance.now() - this.delayedSince < CLICK_DELAY || (choice === "run" && !this.seen.isWhole)) return;
      if (choice === "run" && !this.seen.wasOnScreen) return text.scrollIntoView({ block: "nearest" });
      if (this.root.contains(document.activeElement)) this.root.focus();
      this.enable(false);
      send({ kind: "review", digest: data.digest, choice, program: text.value, comment: comment.value });
    };
    const runLine = createElement("div", "ca-buttons");
    const rejectLine = createElement("div", "ca-buttons");
    runLine.append(createButton("ca-allow", "Run", decide("run")));
    rejectLine.append(createButton("ca-deny", "Reject", decide("reject")), comment);
    const title = createElement("div", "ca-title");
    const hint = data.editable
      ? "You can change it first."
      : "It has invisible characters, so it can only run unchanged.";
    this.scrollHint = createElement("div", "ca-problem");
    title.append(createElement("b", "", "Run this program?"), createElement("span", "ca-dim", hint));
    this.root.append(title, text, this.scrollHint, problem, runLine, rejectLine);
    if (data.note) title.after(createElement("div", "ca-untrusted", data.note));
    this.isOpen = true;
    this.seen = new SeenText(text, (appears) => this.refresh(appears));
  }

  delayClicks() {
    this.delayedSince = performance.now();
  }

  // Called when the text was measured, or has come onto the screen.
  refresh(appears) {
    if (appears) this.delayClicks();
    this.scrollHint.textContent = this.seen?.isCut ? "There is more: scroll to the end before you run it." : "";
    this.enable(this.isOpen);
  }

  enable(isEnabled) {
    this.isOpen = isEnabled;
    for (const node of this.root.querySelectorAll("button"))
      node.disabled = !isEnabled || (node.matches(".ca-allow") && !this.seen?.isWhole);
  }

  update(data) {
    this.problem.textContent = data.problem;
    this.enable(true);
  }
}

// ---- the blocks above and below the programs ----------------------------------------------------------------------

// A writer for each kind of block in codeact_kernel/render/blocks.py. It returns nodes, or texts that are no markup.
const BLOCKS = {
  note: ({ text }) => [createElement("div", "ca-note", text)],
  words: ({ text }) => [createElement("div", "ca-words", text)],
  failure: ({ message, traceback }) => [
    createElement("div", "ca-error", message),
    ...(traceback ? [createElement("pre", "ca-output", traceback)] : []),
  ],
  table: ({ table }) => [createTable(table), createElement("div", "ca-dim", table.left_out)],
  value: ({ text }) => [createElement("pre", "ca-output", text)],
  files: ({ rows, left_out }) => [...rows.map(createFile), createElement("div", "ca-dim", left_out)],
  footer: ({ text }) => [createElement("div", "ca-footer", text)],
};

function drawBlocks(root, blocks) {
  root.replaceChildren(...blocks.flatMap((block) => BLOCKS[block.kind](block)));
}

function createTable({ columns, rows, numeric }) {
  const table = createElement("table", "ca-table");
  const createRow = (tag, cells) => {
    const row = createElement("tr");
    row.append(...cells.map((text, index) => createElement(tag, numeric[index] ? "ca-number" : "", text)));
    return row;
  };
  table.append(createRow("th", columns), ...rows.map((cells) => createRow("td", cells)));
  return table;
}

// Without a link: the page of a widget does not know the folder of the notebook.
function createFile({ name, details }) {
  const file = createElement("div", "ca-file");
  file.append(createElement("b", "", name), " ", createElement("span", "ca-dim", details));
  return file;
}

// ---- the card -----------------------------------------------------------------------------------------------------

// Give the focus back to the page. In Jupyter that is the cell, which remains when its output is replaced.
function returnFocus(card) {
  const cell = card.closest(".jp-Cell");
  if (cell) cell.focus({ preventScroll: true });
  else if (card.contains(document.activeElement)) document.activeElement.blur();
}

function isTypingElsewhere(card) {
  const focused = document.activeElement;
  if (!focused || card.contains(focused)) return false;
  return focused.matches("input, textarea, select, [contenteditable='true']");
}

// ---- the buttons of finished cards --------------------------------------------------------------------------------

// A finished card is static HTML, in which nothing runs. Its buttons are hidden in a file and in an export; they show in
// a page that has drawn a card, and stay there when that card is closed.
const COPY = "data-codeact-copy";
const COPY_STYLE = `
  [${COPY}] { background: transparent !important; border: 1px solid rgba(128, 128, 128, 0.35) !important;
    border-radius: 3px; color: inherit; cursor: pointer; display: inline-block !important; font: inherit; font-size: 12px;
    margin: 0 6px 6px 0; padding: 3px 10px !important; }
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
    const isCopied = await copyText(button.getAttribute(COPY));
    button.setAttribute("aria-label", isCopied ? "Copied: paste it into a cell" : "This page may not copy");
    setTimeout(() => button.removeAttribute("aria-label"), 4000);
  });
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

function render({ model, el }) {
  enableCopyButtons();
  const send = (message) => model.send(message);
  const card = createElement("div", "ca");
  card.tabIndex = -1;
  card.setAttribute("role", "group");
  card.setAttribute("aria-label", "CodeAct");
  card.dataset.lmSuppressShortcuts = "true"; // or d d would delete the cell
  const head = createElement("div", "ca-head");
  const state = createElement("b", "ca-state");
  state.setAttribute("role", "status");
  state.setAttribute("aria-live", "polite");
  const boundary = createElement("span", "ca-dim");
  const time = createElement("span", "ca-time");
  const stop = createButton("ca-stop", "Stop", () => {
    returnFocus(card); // a disabled button would lose the focus
    stop.disabled = true;
    stop.textContent = "Stopping…";
    send({ kind: "stop" });
  });
  if (model.get("slow_stop"))
    stop.title = "With this version of ipykernel, Stop waits for a running tool; Kernel > Interrupt does not.";
  head.append(createElement("span", "ca-name", "CodeAct"), state, boundary, time, stop);
  const above = createElement("div", "ca-blocks");
  const program = createElement("div");
  const formsBelow = createElement("div");
  const below = createElement("div", "ca-blocks");
  const batchDecision = new BatchDecision();
  card.append(head, above, batchDecision.root, program, formsBelow, below);
  el.append(card);

  const attempts = [];
  const openForms = new Map();
  let review = null;
  let drawnDigests = "";
  let clockUpdated = performance.now();

  const tick = () => {
    const seconds = model.get("clock") + (model.get("head").is_over ? 0 : (performance.now() - clockUpdated) / 1000);
    const minutes = `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    time.textContent = seconds < 60 ? `${seconds.toFixed(0)} s` : minutes;
  };

  const draw = {
    clock() {
      clockUpdated = performance.now();
      tick();
    },
    head() {
      const data = model.get("head");
      if (data.is_over && card.contains(document.activeElement)) returnFocus(card); // before it is removed
      state.textContent = data.state || "writing program";
      card.dataset.state = state.textContent.split(",")[0];
      boundary.textContent = data.boundary || "";
      stop.hidden = Boolean(data.is_over);
      tick();
    },
    programs() {
      const data = model.get("programs");
      while (attempts.length < data.length) {
        const attempt = new Attempt();
        attempts.push(attempt);
        program.append(attempt.root);
      }
      data.forEach((item, index) => attempts[index].drawProgram(item, index + 1, index === data.length - 1));
    },
    runs() {
      model.get("runs").forEach((run, index) => attempts[index] && attempts[index].drawRun(run));
    },
    forms() {
      const data = model.get("forms");
      const hadFocus = card.contains(document.activeElement);
      const digests = new Set(data.map((item) => item.digest));
      for (const [digest, form] of openForms)
        if (!digests.has(digest)) {
          form.root.remove();
          openForms.delete(digest);
        }
      let firstNew = null;
      for (const item of data) {
        const known = openForms.get(item.digest);
        if (known) {
          known.update(item);
          continue;
        }
        const otherForms = () => [...openForms.values()].filter((other) => other.data.digest !== item.digest);
        const row = attempts.length ? attempts[attempts.length - 1].rows.get(item.call) : null;
        const form = new ApprovalForm(item, send, row, otherForms, () => batchDecision.refresh());
        openForms.set(item.digest, form);
        batchDecision.add(form);
        (row ? row.form : formsBelow).append(form.root);
        firstNew = firstNew || form.root;
      }
      const openDigests = [...openForms.keys()].join();
      if (openDigests !== drawnDigests) {
        drawnDigests = openDigests;
        // The form under the pointer may be another one now, so all forms ignore clicks for a moment.
        for (const form of openForms.values()) form.delayClicks();
        batchDecision.draw([...openForms.values()]);
        if (!openForms.size) batchDecision.userSelects = false;
      }
      const next = openForms.values().next().value;
      focusOn(firstNew || (hadFocus && next && next.root), hadFocus);
    },
    review() {
      const data = model.get("review");
      const hadFocus = card.contains(document.activeElement);
      if (review && data && review.data.digest === data.digest) return review.update(data);
      const comment = review ? review.comment.value : "";
      if (review) review.root.remove();
      review = data ? new ProgramReview(data, send) : null;
      if (attempts.length) attempts[attempts.length - 1].code.hidden = Boolean(review);
      if (!review) {
        if (hadFocus) returnFocus(card);
        return;
      }
      if (data.problem) review.comment.value = comment;
      formsBelow.append(review.root);
      focusOn(review && review.root, hadFocus);
    },
    above() {
      drawBlocks(above, model.get("above"));
    },
    below() {
      drawBlocks(below, model.get("below"));
    },
  };

  const focusOn = (node, hadFocus) => {
    if (card.contains(document.activeElement) && document.activeElement !== card) return; // the user is typing there
    if (node && !isTypingElsewhere(card)) node.focus();
    else if (hadFocus) returnFocus(card); // there is nothing left to decide
  };

  card.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT") event.preventDefault();
    event.stopPropagation();
  });

  // Runs are before forms, because a form is drawn in the row of its call.
  const parts = ["head", "clock", "above", "programs", "runs", "forms", "review", "below"];
  let isScheduled = false;
  const drawAll = () => {
    isScheduled = false;
    for (const part of changed) draw[part]();
    changed = [];
  };
  let changed = [...parts];
  const schedule = (part) => () => {
    changed = parts.filter((name) => name === part || changed.includes(name));
    if (!isScheduled) {
      isScheduled = true;
      queueMicrotask(drawAll);
    }
  };
  const listeners = parts.map((part) => [`change:${part}`, schedule(part)]);
  for (const [event, listener] of listeners) model.on(event, listener);
  drawAll();
  // The cell, while the focus is in this card: it gets the focus when the card is removed.
  let cell = null;
  card.addEventListener("focusin", () => (cell = card.closest(".jp-Cell")));
  card.addEventListener("focusout", (event) => event.relatedTarget && (cell = null));
  // A user who comes back to this page has not aimed at a button yet.
  const delayClicks = () => {
    for (const form of [...openForms.values(), batchDecision, review]) if (form) form.delayClicks();
  };
  document.addEventListener("visibilitychange", delayClicks);
  const timer = setInterval(tick, 1000);
  send({ kind: "hello" }); // tells the kernel that a page shows the card
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", delayClicks);
    if (cell && document.activeElement === document.body) cell.focus({ preventScroll: true });
    for (const [event, listener] of listeners) model.off(event, listener); // other views of this card go on
  };
}

export default { render };
