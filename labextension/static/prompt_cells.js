// Makes prompt cells look like prose, not like Python, in JupyterLab and Notebook 7. Nothing else depends on it.
//
// A prebuilt extension of JupyterLab is a container of modules (webpack's module federation). This one is written by
// hand, because it is one small module without dependencies, so nobody needs Node to build it.

(() => {
  const PROMPT = /^(?:\s*%%codeact(?:\s|$)|>(?![>=]))/; // as in extension/codeact/prompt_cells.py
  const PROSE = "text/plain";
  const OTHER_PROSE = "text/x-codeact-prompt"; // no language has this type
  const STYLE = `
    .codeact-prompt .cm-content { font-family: var(--jp-content-font-family); }
    .codeact-prompt .cm-line { line-height: 1.5; }`;

  // Watches one cell of a notebook, from its source and from the type that the notebook gives to code.
  function watchCell(notebook, cell) {
    const { model } = cell;
    if (model?.type !== "code") return;
    // An editor loads each language by itself, and the one that is there last stays. So look again a few times whether
    // Python came after all, when it was loaded later than it was replaced.
    const settle = (looks) => {
      setTimeout(() => {
        if (cell.isDisposed || model.mimeType !== PROSE) return;
        if (cell.node.querySelector(".cm-line span[class]")) {
          isSettling = true;
          model.mimeType = OTHER_PROSE;
          model.mimeType = PROSE;
          isSettling = false;
        }
        if (looks > 1) settle(looks - 1);
      }, 300);
    };
    let isSettling = false;
    const draw = () => {
      const isPrompt = PROMPT.test(model.sharedModel.getSource());
      const type = isPrompt ? PROSE : notebook.codeMimetype;
      cell.toggleClass("codeact-prompt", isPrompt);
      if (type && model.mimeType !== type && (isPrompt || model.mimeType === PROSE)) {
        model.mimeType = type;
        if (isPrompt) settle(10);
      }
      if (cell.codeactWraps !== isPrompt && cell.editor) {
        cell.codeactWraps = isPrompt;
        if (isPrompt) cell.editor.setOption("lineWrap", true);
        else cell.editor.setOption("lineWrap", notebook.editorConfig?.code?.lineWrap ?? false);
      }
    };
    // The signals come in the middle of an update of the editor, in which no other update may begin.
    let isScheduled = false;
    const schedule = () => {
      if (isScheduled || isSettling) return;
      isScheduled = true;
      queueMicrotask(() => {
        isScheduled = false;
        if (!cell.isDisposed) draw();
      });
    };
    model.contentChanged.connect(schedule);
    model.mimeTypeChanged.connect(schedule);
    cell.ready?.then(schedule, () => {});
    schedule();
  }

  function watchNotebook(notebook) {
    const watched = new WeakSet();
    const watchAll = () => {
      for (const cell of notebook.widgets) {
        if (watched.has(cell)) continue;
        watched.add(cell);
        watchCell(notebook, cell);
      }
    };
    notebook.modelContentChanged.connect(watchAll);
    notebook.modelChanged.connect(watchAll);
    notebook.activeCellChanged.connect(watchAll);
    watchAll();
  }

  const plugin = {
    id: "codeact-kernel:prompts",
    description: "Shows prompt cells as prose.",
    autoStart: true,
    activate(app) {
      const style = document.createElement("style");
      style.textContent = STYLE;
      document.head.append(style);
      app.docRegistry.addWidgetExtension("Notebook", {
        createNew: (panel) => {
          watchNotebook(panel.content);
          return undefined;
        },
      });
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["codeact-kernel"] = {
    init: () => {},
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
