// Draws a program with its calls and its output.

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
    this.summary.textContent = `program ${order}, then asked again: ${program.reason}`;
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
    this.failedLine = run.failed_line;
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

  // Show how long each running call takes.
  tick(now) {
    for (const row of this.rows.values()) row.tick(now);
  }

  markCallingLines() {
    const calling = new Set(this.callingLines || []);
    [...this.code.children].forEach((item, index) => {
      const isCalling = calling.has(index + 1);
      item.classList.toggle("ca-failed", index + 1 === this.failedLine);
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

  tick(now) {
    const seconds = this.isRunning ? (now - this.runningSince) / 1000 : 0;
    if (seconds >= SLOW) this.duration.textContent = `running, ${formatSeconds(seconds)}`;
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
    this.isRunning = !data.is_over && !isWaiting;
    if (!this.isRunning) this.runningSince = null;
    else this.runningSince = this.runningSince || performance.now();
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
