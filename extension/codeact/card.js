// The live card. The kernel sends plain data, all of it text; nothing here is ever parsed as markup. What the person
// clicks goes back as small messages that name the question exactly as it was shown: the kernel checks them.

const CHOICES = [
  ["allow_once", "Allow once"],
  ["allow_cell", "Allow for this cell"],
  ["allow_session", "Allow for this session"],
  ["allow_always", "Allow with exactly these arguments, always"],
];
const ARMED = 400; // milliseconds in which a form that has just appeared under the pointer takes no click

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(name, text, act) {
  const node = make("button", name, text);
  node.type = "button";
  node.addEventListener("click", (event) => {
    if (event.isTrusted) act(); // a script in the page does not decide
  });
  return node;
}

const fold = (text, most) => (text.length > most ? text.slice(0, most) + "…" : text);
const number = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 2 });

// ---- a program, its calls and its output -------------------------------------------------------------------------

class Attempt {
  constructor() {
    this.root = make("details", "ca-attempt");
    this.summary = make("summary");
    this.code = make("ol", "ca-code");
    this.code.setAttribute("aria-label", "program");
    this.count = make("div", "ca-dim");
    this.calls = make("div", "ca-calls");
    this.calls.setAttribute("role", "list");
    this.output = make("pre", "ca-output");
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
        const item = make("li");
        for (const [kind, part] of line) item.append(kind ? make("span", "ca-" + kind, part) : part);
        return item;
      })
    );
    this.mark();
  }

  drawRun(run) {
    this.calling = run.calling;
    this.mark();
    const left = run.left_out ? `, ${number(run.left_out)} not shown while it runs` : "";
    this.count.textContent = run.calls ? `${number(run.calls)} tool call${run.calls === 1 ? "" : "s"}${left}` : "";
    const shown = new Set(run.rows.map((row) => row.call));
    for (const [call, row] of this.rows)
      if (!shown.has(call)) {
        row.root.remove();
        this.rows.delete(call);
      }
    for (const data of run.rows) this.row(data, run.batches);
    for (const [id, batch] of this.batches)
      if (!(id in run.batches)) {
        batch.root.remove();
        this.batches.delete(id);
      }
    this.output.textContent = run.output;
    this.output.hidden = !run.output;
  }

  mark() {
    const calling = new Set(this.calling || []);
    [...this.code.children].forEach((item, index) => {
      const now = calling.has(index + 1);
      item.classList.toggle("ca-calling", now);
      if (now) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }

  row(data, batches) {
    let row = this.rows.get(data.call);
    if (!row) {
      row = new Row();
      this.rows.set(data.call, row);
      (data.batch ? this.batch(data.batch) : this.calls).append(row.root);
    }
    if (data.batch) this.batches.get(String(data.batch)).draw(...batches[data.batch]);
    row.draw(data);
  }

  batch(id) {
    let batch = this.batches.get(String(id));
    if (!batch) {
      batch = new Batch();
      this.batches.set(String(id), batch);
      this.calls.append(batch.root);
    }
    return batch.rows;
  }
}

class Batch {
  constructor() {
    this.root = make("div", "ca-batch");
    this.bar = make("progress");
    this.label = make("span", "ca-dim");
    this.rows = make("div");
    const head = make("div", "ca-progress");
    head.append(this.bar, this.label);
    this.root.append(head, this.rows);
  }

  draw(over, size) {
    this.bar.max = size;
    this.bar.value = over;
    this.label.textContent = `${number(over)} of ${number(size)} done, sent off together`;
    this.bar.setAttribute("aria-label", this.label.textContent);
  }
}

class Row {
  constructor() {
    this.root = make("div", "ca-row");
    this.root.setAttribute("role", "listitem");
    this.line = make("details", "ca-call");
    this.summary = make("summary");
    this.text = make("code", "ca-text");
    this.end = make("span", "ca-end");
    this.by = make("span", "ca-dim");
    this.ms = make("span", "ca-ms");
    this.summary.append(this.text, this.end, this.by, this.ms);
    this.whole = make("pre", "ca-output");
    this.line.append(this.summary, this.whole);
    this.told = make("div", "ca-progress");
    this.bar = make("progress");
    this.doing = make("span", "ca-dim");
    this.told.append(this.bar, this.doing);
    this.form = make("div");
    this.root.append(this.line, this.told, this.form);
  }

  draw(data) {
    const key = JSON.stringify(data);
    if (key === this.key) return;
    this.key = key;
    this.text.textContent = fold(data.text, 90);
    this.end.textContent = data.over ? "→ " + fold(data.end, 90) : "";
    this.end.classList.toggle("ca-wrong", data.wrong);
    this.by.textContent = data.by;
    this.ms.textContent = data.over ? `${number(data.ms)} ms` : data.by === "waiting for you" ? "" : "running";
    const long = data.text.length > 90 || data.end.length > 90;
    this.whole.textContent = long ? `${data.text}\n→ ${data.end}` : "";
    this.line.classList.toggle("ca-long", long);
    this.told.hidden = !data.progress;
    if (!data.progress) return;
    const [done, total] = data.progress;
    if (total) {
      this.bar.max = total;
      this.bar.value = done;
    }
    this.bar.hidden = !total;
    this.doing.textContent = `${number(done)}${total ? " of " + number(total) : ""} ${data.doing}`;
    this.bar.setAttribute("aria-label", this.doing.textContent);
  }
}

// ---- a call that waits for a decision ----------------------------------------------------------------------------

class Question {
  constructor(data, send, row, others, changed) {
    this.data = data;
    this.send = send;
    this.others = others;
    this.changed = changed;
    this.edits = {};
    this.texts = []; // each field's text, and whether it was seen
    this.inputs = new Map();
    this.decided = false;
    this.root = make("section", "ca-ask");
    this.root.tabIndex = -1;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", `Allow the call of ${data.name}?`);
    this.check = make("input");
    this.check.type = "checkbox";
    this.check.checked = true;
    this.check.setAttribute("aria-label", `select this call of ${data.name}`);
    const title = make("div", "ca-title");
    title.append(this.check, make("b", "", `Allow ${data.name}?`), make("span", "ca-dim", data.about));
    // Of several questions each is one line, if its row above shows all of its arguments, until somebody works on it.
    this.alone = button("ca-alone", "Change or decide alone", () => this.unfold());
    title.append(this.alone);
    const source = make("div", "ca-dim");
    if (data.line) source.append(`line ${data.line}: `, make("code", "", fold(data.source, 200)));
    if (data.more) source.append(`${data.line ? " · " : ""}${data.more}`);
    const untrusted = make("div", "ca-untrusted");
    if (data.untrusted)
      untrusted.append("The program has read text that an outsider can write, from ", make("code", "", data.untrusted));
    this.fields = make("div", "ca-fields");
    for (const field of data.fields) this.fields.append(...this.field(field));
    this.problem = make("div", "ca-wrong");
    this.problem.setAttribute("role", "alert");
    this.reason = make("input", "ca-reason");
    this.reason.placeholder = "reason, for the program (optional)";
    this.reason.setAttribute("aria-label", "reason to deny");
    this.allows = CHOICES.map(([choice, text]) => button("ca-allow", text, () => this.decide(choice)));
    this.deny = button("ca-deny", "Deny", () => this.decide("reject"));
    const buttons = make("div", "ca-buttons");
    const no = make("div", "ca-buttons");
    buttons.append(...this.allows);
    no.append(this.deny, this.reason);
    this.root.append(title, source, untrusted, this.fields, this.problem, buttons, no);
    for (const name of ["focusin", "input"])
      this.root.addEventListener(name, (event) => {
        if (event.target.matches("textarea, select, input:not([type=checkbox])")) this.unfold();
      });
    // The line that stands for the whole question, as long as it is small.
    this.line = row && data.brief ? new SeenText(row.summary, (appears) => this.look(appears)) : null;
    this.root.classList.toggle("ca-small", Boolean(this.line));
    this.alone.hidden = !this.line;
    this.arm();
    this.enable(true);
  }

  arm() {
    this.born = performance.now();
  }

  unfold() {
    this.root.classList.remove("ca-small");
    this.alone.hidden = true;
    this.enable(!this.decided);
  }

  // A text was measured, or came onto the screen.
  look(appears) {
    if (appears) this.arm();
    for (const text of this.texts) text.draw();
    this.enable(!this.decided);
  }

  get isSmall() {
    return this.root.matches(".ca-small.ca-several");
  }

  // What has to have been on the screen before this can be allowed.
  get shown() {
    return this.isSmall ? [this.line] : this.texts.map(({ seen }) => seen);
  }

  get isLocked() {
    return this.isSmall ? !this.line.isWhole : this.texts.some((text) => text.isLocked);
  }

  // Bring into view what has not been there; returns whether there was any.
  showUnseen() {
    const unseen = this.shown.find((seen) => !seen.wasOnScreen);
    if (!unseen) return false;
    unseen.node.scrollIntoView({ block: "nearest" });
    this.arm();
    return true;
  }

  get touched() {
    return Object.keys(this.edits).length > 0 || this.reason.value !== "" || !this.check.checked;
  }

  field(field) {
    const label = make("label", "", field.label);
    const cell = make("div");
    let input;
    if (field.kind === "bool" || field.kind === "choice") {
      input = make("select");
      for (const text of field.kind === "bool" ? ["true", "false"] : field.choices) input.append(new Option(text, text));
    } else {
      input = make("textarea");
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
      input.classList.remove("ca-bad");
      for (const { seen } of this.texts) if (seen.node === input) seen.measure();
    });
    if (field.kind === "choice") {
      // A list cuts what is too long for it, and does not say so: the text stands below it, too.
      const whole = make("div", "ca-dim", field.text);
      whole.classList.add("ca-whole");
      input.addEventListener("input", () => (whole.textContent = input.value));
      cell.append(whole);
      this.texts.push(new FieldText(whole, field, () => this.look(false)));
    } else this.texts.push(new FieldText(input, field, (appears) => this.look(appears)));
    if (field.note) cell.append(make("div", "ca-untrusted", field.note));
    this.inputs.set(field.label, input);
    label.append(make("span", "ca-dim", field.kind === "text" ? "" : ` ${field.kind === "json" ? "JSON" : field.kind}`));
    return [label, cell];
  }

  update(data) {
    this.problem.textContent = data.problem;
    if (data.tries !== this.data.tries) {
      this.decided = false;
      this.unfold();
      const wrong = [...this.inputs].find(([label]) => data.problem.startsWith(label + ":"));
      if (wrong) {
        wrong[1].classList.add("ca-bad");
        wrong[1].focus();
      } else this.problem.scrollIntoView({ block: "nearest" });
    }
    this.data = data;
  }

  enable(on) {
    for (const node of this.allows) node.disabled = !on || this.isLocked;
    this.deny.disabled = !on;
    this.changed();
  }

  get ready() {
    return !this.decided && performance.now() - this.born >= ARMED;
  }

  decide(choice, reason) {
    if (!this.ready || (choice !== "reject" && (this.isLocked || this.showUnseen()))) return;
    if (this.root.contains(document.activeElement)) this.root.focus(); // a button that is disabled would lose it
    this.decided = true;
    this.enable(false);
    const { run, call, seal, name } = this.data;
    const said = reason || this.reason.value;
    this.send({ kind: "decide", run, call, seal, choice, reason: said, edits: this.edits });
    if (reason === undefined && (choice === "allow_cell" || choice === "allow_session"))
      // What is allowed for longer holds for the calls of this tool that wait untouched beside it. Each is named.
      for (const other of this.others()) {
        const alike = other.data.name === name && other.data.untrusted === this.data.untrusted;
        const seen = !other.isLocked && other.shown.every((one) => one.wasOnScreen);
        if (alike && seen && !other.touched) other.decide("allow_once");
      }
  }
}

// The text of one field. What does not fit, and what is long, has to be opened before it can be allowed.
class FieldText {
  constructor(node, field, changed) {
    this.isLong = field.long;
    this.isOpened = false;
    this.seen = new SeenText(node, changed, node.rows ? 8 : 0);
    const text = `Show all ${number(field.text.length)} characters before you decide`;
    this.all = button("ca-all", text, () => {
      this.isOpened = true;
      this.seen.open();
    });
    this.end = make("div", "ca-all", "Scroll to the end of this text before you decide");
    node.after(this.all, this.end);
    this.draw();
  }

  get isLocked() {
    return !this.seen.isWhole || (this.isLong && !this.isOpened);
  }

  draw() {
    this.all.hidden = this.isOpened || !(this.isLong || this.seen.isCut);
    this.end.hidden = !(this.isOpened && this.seen.isCut);
  }
}

// Several questions at once: a line to decide those that are checked.
class Desk {
  constructor() {
    this.root = make("section", "ca-ask ca-desk");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Decide several calls at once");
    this.title = make("b");
    this.all = make("input");
    this.all.type = "checkbox";
    this.all.checked = true;
    this.all.setAttribute("aria-label", "select all calls");
    this.all.addEventListener("change", () => {
      this.chosen = !this.all.checked;
      for (const one of this.questions) one.check.checked = this.all.checked;
      this.count();
    });
    this.chosen = false;
    const title = make("label", "ca-title");
    title.append(this.all, this.title);
    this.reason = make("input", "ca-reason");
    this.reason.placeholder = "reason, for the program (optional)";
    this.reason.setAttribute("aria-label", "reason to deny the checked calls");
    const yes = make("div", "ca-buttons");
    this.buttons = CHOICES.slice(0, 3).map(([choice, text]) => button("ca-allow", text, () => this.decide(choice)));
    yes.append(...this.buttons);
    const no = make("div", "ca-buttons");
    this.buttons.push(button("ca-deny", "Deny", () => this.decide("reject")));
    no.append(this.buttons[3], this.reason);
    this.root.append(title, yes, no);
    this.root.hidden = true;
    this.questions = [];
  }

  draw(questions) {
    this.questions = questions;
    this.arm();
    this.root.hidden = questions.length < 2;
    for (const one of questions) one.root.classList.toggle("ca-several", questions.length > 1);
    this.count();
  }

  count() {
    const chosen = this.questions.filter((one) => one.check.checked);
    const [all, checked] = [this.questions.length, chosen.length];
    const unseen = chosen.filter((one) => one.isLocked).length;
    const which = checked === 1 ? "the checked one" : `the ${checked} checked ones`;
    const away = chosen.filter((one) => one.shown.some((seen) => !seen.wasOnScreen)).length;
    const first = unseen
      ? ` To allow, open ${unseen === 1 ? "the long text" : `the ${unseen} with long texts`} first.`
      : away
        ? ` To allow, scroll through them first: ${away} ${away === 1 ? "was" : "were"} not on the screen yet.`
        : "";
    this.title.textContent = `${all} calls wait for you. ${checked ? `Decide ${which} here.${first}` : "None is checked."}`;
    this.all.checked = checked === all;
    this.all.indeterminate = checked > 0 && checked < all;
    for (const node of this.buttons) node.disabled = !checked || (unseen > 0 && !node.matches(".ca-deny"));
  }

  decide(choice) {
    if (performance.now() - this.born < ARMED) return;
    const chosen = this.questions.filter((one) => one.check.checked);
    if (choice !== "reject" && chosen.some((one) => one.isLocked || one.showUnseen())) return this.arm();
    const said = this.reason.value;
    this.reason.value = "";
    for (const one of chosen) one.decide(choice, said);
  }

  arm() {
    this.born = performance.now();
  }

  // A call that comes while somebody chooses is not chosen.
  welcome(question) {
    question.check.checked = !this.chosen;
    question.check.addEventListener("change", () => {
      this.chosen = true;
      this.count();
    });
  }
}

// ---- a program that waits for a decision -------------------------------------------------------------------------

class Review {
  constructor(data, send) {
    this.data = data;
    this.born = performance.now();
    this.root = make("section", "ca-ask");
    this.root.tabIndex = -1;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Run this program?");
    const text = (this.text = make("textarea", "ca-program"));
    text.value = data.program;
    text.rows = Math.min(30, data.program.split("\n").length + 1);
    text.readOnly = !data.editable;
    text.spellcheck = false;
    text.setAttribute("aria-label", "program");
    const problem = (this.problem = make("div", "ca-wrong", data.problem));
    problem.setAttribute("role", "alert");
    const comment = (this.comment = make("input", "ca-reason"));
    comment.placeholder = "what to do otherwise, for the model (without it the cell ends)";
    comment.setAttribute("aria-label", "comment for the model");
    const act = (choice) => () => {
      if (performance.now() - this.born < ARMED || (choice === "run" && !this.seen.isWhole)) return;
      if (choice === "run" && !this.seen.wasOnScreen) return text.scrollIntoView({ block: "nearest" });
      if (this.root.contains(document.activeElement)) this.root.focus();
      this.enable(false);
      send({ kind: "review", seal: data.seal, choice, program: text.value, comment: comment.value });
    };
    const yes = make("div", "ca-buttons");
    const no = make("div", "ca-buttons");
    yes.append(button("ca-allow", "Run", act("run")));
    no.append(button("ca-deny", "Reject", act("reject")), comment);
    const title = make("div", "ca-title");
    const hint = data.editable ? "You may change it first." : "It holds characters that do not show: run it as it is, or not.";
    this.more = make("div", "ca-wrong");
    title.append(make("b", "", "Run this program?"), make("span", "ca-dim", hint));
    this.root.append(title, text, this.more, problem, yes, no);
    if (data.note) title.after(make("div", "ca-untrusted", data.note));
    this.open = true;
    this.seen = new SeenText(text, (appears) => this.look(appears));
  }

  arm() {
    this.born = performance.now();
  }

  look(appears) {
    if (appears) this.arm();
    this.more.textContent = this.seen?.isCut ? "There is more of it: scroll to its end before you run it." : "";
    this.enable(this.open);
  }

  enable(on) {
    this.open = on;
    for (const node of this.root.querySelectorAll("button"))
      node.disabled = !on || (node.matches(".ca-allow") && !this.seen?.isWhole);
  }

  update(data) {
    this.problem.textContent = data.problem;
    this.enable(true);
  }
}

// ---- the end -----------------------------------------------------------------------------------------------------

function drawEnd(root, end) {
  root.replaceChildren();
  if (!end) return;
  if (end.error) root.append(make("div", "ca-error", end.error));
  if (end.traceback) root.append(make("pre", "ca-output", end.traceback));
  if (end.table) {
    const { columns, rows, numeric, left_out } = end.table;
    const table = make("table", "ca-table");
    const line = (tag, cells) => {
      const row = make("tr");
      row.append(...cells.map((text, index) => make(tag, numeric[index] ? "ca-number" : "", text)));
      return row;
    };
    table.append(line("th", columns), ...rows.map((cells) => line("td", cells)));
    root.append(table, make("div", "ca-dim", left_out));
  }
  if (end.text) root.append(make("pre", "ca-output", end.text));
  root.append(make("div", "ca-foot", end.footer));
}

// ---- the card ----------------------------------------------------------------------------------------------------

// Give the keys back to the page: in Jupyter to the cell, which stays when its output is replaced.
function leave(card) {
  const cell = card.closest(".jp-Cell");
  if (cell) cell.focus({ preventScroll: true });
  else if (card.contains(document.activeElement)) document.activeElement.blur();
}

function isTypingElsewhere(card) {
  const focused = document.activeElement;
  if (!focused || card.contains(focused)) return false;
  return focused.matches("input, textarea, select, [contenteditable='true']");
}

function render({ model, el }) {
  const send = (message) => model.send(message);
  const card = make("div", "ca");
  card.tabIndex = -1;
  card.setAttribute("role", "group");
  card.setAttribute("aria-label", "CodeAct");
  card.dataset.lmSuppressShortcuts = "true"; // the notebook's keys (d d deletes a cell) are not for what is typed here
  const head = make("div", "ca-head");
  const state = make("b", "ca-state");
  state.setAttribute("role", "status");
  state.setAttribute("aria-live", "polite");
  const boundary = make("span", "ca-dim");
  const time = make("span", "ca-time");
  const stop = button("ca-stop", "Stop", () => {
    leave(card); // a button that is disabled would lose the focus
    stop.disabled = true;
    stop.textContent = "Stopping…";
    send({ kind: "stop" });
  });
  if (model.get("slow_stop"))
    stop.title = "With this version of ipykernel it waits for a tool that is running; Kernel > Interrupt does not.";
  head.append(make("span", "ca-name", "CodeAct"), state, boundary, time, stop);
  const notes = make("div");
  const program = make("div");
  const asks = make("div");
  const words = make("div", "ca-words");
  const end = make("div", "ca-end-of-turn");
  const desk = new Desk();
  card.append(head, notes, desk.root, program, words, asks, end);
  el.append(card);

  const attempts = [];
  const questions = new Map();
  let review = null;
  let shown = "";
  let told = performance.now();

  const tick = () => {
    const seconds = model.get("clock") + (model.get("head").over ? 0 : (performance.now() - told) / 1000);
    time.textContent = seconds < 60 ? `${seconds.toFixed(0)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  };

  const draw = {
    clock() {
      told = performance.now();
      tick();
    },
    head() {
      const data = model.get("head");
      if (data.over && card.contains(document.activeElement)) leave(card); // what is focused goes with the live card
      state.textContent = data.state || "writing program";
      card.dataset.state = state.textContent.split(",")[0];
      boundary.textContent = data.boundary || "";
      stop.hidden = Boolean(data.over);
      notes.replaceChildren(...(data.notes || []).map((text) => make("div", "ca-note", text)));
      words.textContent = data.words || "";
      words.hidden = !data.words;
      tick();
    },
    programs() {
      const data = model.get("programs");
      while (attempts.length < data.length) {
        const attempt = new Attempt();
        attempts.push(attempt);
        program.append(attempt.root);
      }
      data.forEach((one, index) => attempts[index].drawProgram(one, index + 1, index === data.length - 1));
    },
    runs() {
      model.get("runs").forEach((run, index) => attempts[index] && attempts[index].drawRun(run));
    },
    questions() {
      const data = model.get("questions");
      const had = card.contains(document.activeElement);
      const seals = new Set(data.map((one) => one.seal));
      for (const [seal, one] of questions)
        if (!seals.has(seal)) {
          one.root.remove();
          questions.delete(seal);
        }
      let first = null;
      for (const one of data) {
        const known = questions.get(one.seal);
        if (known) {
          known.update(one);
          continue;
        }
        const others = () => [...questions.values()].filter((other) => other.data.seal !== one.seal);
        const row = attempts.length ? attempts[attempts.length - 1].rows.get(one.call) : null;
        const made = new Question(one, send, row, others, () => desk.count());
        questions.set(one.seal, made);
        desk.welcome(made);
        (row ? row.form : asks).append(made.root);
        first = first || made.root;
      }
      const set = [...questions.keys()].join();
      if (set !== shown) {
        shown = set;
        // What was under the pointer may have moved: for a moment nothing takes a click.
        for (const one of questions.values()) one.arm();
        desk.draw([...questions.values()]);
        if (!questions.size) desk.chosen = false;
      }
      const next = questions.values().next().value;
      focusOn(first || (had && next && next.root), had);
    },
    review() {
      const data = model.get("review");
      const had = card.contains(document.activeElement);
      if (review && data && review.data.seal === data.seal) return review.update(data);
      const comment = review ? review.comment.value : "";
      if (review) review.root.remove();
      review = data ? new Review(data, send) : null;
      if (attempts.length) attempts[attempts.length - 1].code.hidden = Boolean(review);
      if (!review) {
        if (had) leave(card);
        return;
      }
      if (data.problem) review.comment.value = comment;
      asks.append(review.root);
      focusOn(review && review.root, had);
    },
    end() {
      drawEnd(end, model.get("end"));
    },
  };

  const focusOn = (node, had) => {
    if (card.contains(document.activeElement) && document.activeElement !== card) return; // something is being typed
    if (node && !isTypingElsewhere(card)) node.focus();
    else if (had) leave(card); // nothing is left to decide
  };

  card.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT") event.preventDefault();
    event.stopPropagation();
  });

  // Rows first: a question stands in the row of its call.
  const parts = ["head", "clock", "programs", "runs", "questions", "review", "end"];
  let waiting = false;
  const drawAll = () => {
    waiting = false;
    for (const part of changed) draw[part]();
    changed = [];
  };
  let changed = [...parts];
  const later = (part) => () => {
    changed = parts.filter((one) => one === part || changed.includes(one));
    if (!waiting) {
      waiting = true;
      queueMicrotask(drawAll);
    }
  };
  const listeners = parts.map((part) => [`change:${part}`, later(part)]);
  for (const [event, listener] of listeners) model.on(event, listener);
  drawAll();
  // The cell, while the focus is in this card: what is focused goes with the card, and the keys are then the cell's.
  let cell = null;
  card.addEventListener("focusin", () => (cell = card.closest(".jp-Cell")));
  card.addEventListener("focusout", (event) => event.relatedTarget && (cell = null));
  // Whoever comes back to this page has not aimed at anything yet.
  const arm = () => [...questions.values(), desk, review].forEach((one) => one && one.arm());
  document.addEventListener("visibilitychange", arm);
  const timer = setInterval(tick, 1000);
  send({ kind: "hello" }); // a page shows the card, and its messages arrive
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", arm);
    if (cell && document.activeElement === document.body) cell.focus({ preventScroll: true });
    for (const [event, listener] of listeners) model.off(event, listener); // another view of this card goes on
  };
}

export default { render };
