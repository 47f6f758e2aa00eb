// The live card. The kernel sends plain data, and no text is ever parsed as markup. Its parts are in the files before this
// one: see `card.py`, which joins them.

// Give the focus back to the page. In Jupyter that is the cell, which remains when its output is replaced.
function returnFocus(card) {
  const cell = card.closest(".jp-Cell");
  if (cell) cell.focus({ preventScroll: true });
  else if (card.contains(document.activeElement)) document.activeElement.blur();
}

// Tells whether the user is writing elsewhere in the page: in the element that has the focus, since the card appeared.
// After Shift+Enter the focus is in the next cell, but nobody has written there yet.
class TypingWatch {
  constructor(card) {
    this.card = card;
    this.typedIn = null;
    this.listener = (event) => {
      if (!card.contains(event.target)) this.typedIn = document.activeElement;
    };
    document.addEventListener("input", this.listener, true);
    document.addEventListener("beforeinput", this.listener, true);
  }

  get isTypingElsewhere() {
    const focused = document.activeElement;
    if (!focused || this.card.contains(focused)) return false;
    if (!focused.matches("input, textarea, select, [contenteditable='true']")) return false;
    return focused === this.typedIn || !focused.closest(".jp-Cell, .jp-CodeCell");
  }

  close() {
    document.removeEventListener("input", this.listener, true);
    document.removeEventListener("beforeinput", this.listener, true);
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
  const time = createElement("span", "ca-time");
  const stop = createButton("ca-stop", "Stop", () => {
    returnFocus(card); // a disabled button would lose the focus
    stop.disabled = true;
    stop.textContent = "Stopping…";
    send({ kind: "stop" });
  });
  if (model.get("slow_stop"))
    stop.title = "With this version of ipykernel, Stop waits for a running tool; Kernel > Interrupt does not.";
  const stateTime = createElement("span", "ca-dim ca-state-time"); // its own element, because it is not announced
  const budget = createElement("span", "ca-dim ca-budget");
  head.append(createElement("span", "ca-name", "CodeAct"), state, stateTime, budget, time, stop);
  const above = createElement("div");
  // While the turn runs, its programs are open. When it is over, they are behind one line, as in the saved form.
  const behind = createElement("details", "ca-behind");
  behind.open = true;
  const summary = createElement("summary", "ca-dim");
  const program = createElement("div");
  const lines = createElement("div", "ca-dim");
  behind.append(summary, program, lines);
  const formsBelow = createElement("div");
  const below = createElement("div");
  const batchDecision = new BatchDecision();
  card.append(head, above, batchDecision.root, behind, formsBelow, below);
  el.append(card);

  const typing = new TypingWatch(card);
  const attempts = [];
  const openForms = new Map();
  let review = null;
  let drawnDigests = "";
  let clockUpdated = performance.now();

  let phase = "starting";
  let phaseStarted = performance.now();
  let isOver = false;
  const tick = () => {
    if (isOver) return;
    const now = performance.now();
    const seconds = model.get("clock") + (now - clockUpdated) / 1000;
    const phaseSeconds = (now - phaseStarted) / 1000;
    time.textContent = formatSeconds(seconds);
    if (state.textContent !== phase) state.textContent = phase; // a screen reader announces each phase once
    stateTime.textContent = phaseSeconds >= SLOW && seconds - phaseSeconds >= 1 ? `for ${formatSeconds(phaseSeconds)}` : "";
    for (const attempt of attempts) attempt.tick(now);
  };

  const draw = {
    clock() {
      clockUpdated = performance.now();
      tick();
    },
    head() {
      const data = model.get("head");
      if (data.is_over && card.contains(document.activeElement)) returnFocus(card); // before it is removed
      if (data.state && data.state !== phase) [phase, phaseStarted] = [data.state, performance.now()];
      card.dataset.state = phase.split(",")[0];
      budget.textContent = data.budget || "";
      if (data.is_over && !isOver) {
        isOver = head.hidden = true;
        state.textContent = phase;
        behind.open = false;
        showTimes(data.times);
      }
      summary.textContent = isOver ? data.summary + (Object.values(data.times)[0] || "") : "";
      lines.replaceChildren(...(data.lines || []).map((text) => createElement("div", "", text)));
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
      above.replaceChildren(...model.get("above").map(buildNode));
    },
    below() {
      below.replaceChildren(...model.get("below").map(buildNode));
    },
  };

  const focusOn = (node, hadFocus) => {
    if (card.contains(document.activeElement) && document.activeElement !== card) return; // the user is typing there
    if (node && !typing.isTypingElsewhere) node.focus();
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
    typing.close();
    document.removeEventListener("visibilitychange", delayClicks);
    if (cell && document.activeElement === document.body) cell.focus({ preventScroll: true });
    for (const [event, listener] of listeners) model.off(event, listener); // other views of this card go on
  };
}

export default { render };
