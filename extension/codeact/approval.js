// The forms in which the user decides about calls, and reviews a program. Clicks are sent back as small messages that
// name the call or program exactly as it was shown, and the kernel checks them.

const CHOICES = [
  ["allow_once", "Allow once"],
  ["allow_cell", "Allow for this cell"],
  ["allow_session", "Allow for this session"],
  ["allow_always", "Allow with exactly these arguments, always"],
];
const ANSWER = [["allow_once", "Answer"]]; // to a question that a tool asks the user
const CLICK_DELAY = 400; // milliseconds during which a form that has just appeared under the pointer ignores clicks

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
    const { is_question: isQuestion } = data;
    this.root.setAttribute("aria-label", isQuestion ? data.name : `Allow the call of ${data.name}?`);
    this.checkbox = createElement("input");
    this.checkbox.type = "checkbox";
    this.checkbox.checked = !isQuestion; // several calls are allowed at once, but no answer is given unseen
    this.checkbox.setAttribute("aria-label", `select this call of ${data.name}`);
    const title = createElement("div", "ca-title");
    const summary = createElement("span", isQuestion ? "" : "ca-dim", data.summary);
    title.append(this.checkbox, createElement("b", "", isQuestion ? `${data.name}:` : `Allow ${data.name}?`), summary);
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
    const choices = isQuestion ? ANSWER : CHOICES;
    this.allowButtons = choices.map(([choice, text]) => createButton("ca-allow", text, () => this.decide(choice)));
    this.denyButton = createButton("ca-deny", isQuestion ? "Decline" : "Deny", () => this.decide("reject"));
    this.reason.hidden = isQuestion;
    const allowLine = createElement("div", "ca-buttons");
    const denyLine = createElement("div", "ca-buttons");
    allowLine.append(...this.allowButtons);
    denyLine.append(this.reason, this.denyButton);
    onEnter(this.reason, () => this.decide("reject"));
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
      const choices = field.kind === "bool" ? ["True", "False"] : field.choices;
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
    denyLine.append(this.reason, this.buttons[3]);
    onEnter(this.reason, () => this.decide("reject"));
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
    rejectLine.append(comment, createButton("ca-deny", "Reject", decide("reject")));
    onEnter(comment, decide("reject"));
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

