// Puts what a cell printed while no page showed its notebook into the cell, and what it goes on to print: JupyterLab shows the output of cells that
// this very page has started only. The server's half (berth_outputs) keeps it. A federated extension by hand: what webpack would make of one is
// `init` and `get`.
(() => {
  'use strict';
  const SOON = 250, AFTER_ERROR = 5000;  // milliseconds until the server is asked again
  const LONG = 2000;  // a cell that runs longer has its notebook saved, so that the cell itself is there when the page comes back
  let shared, off = false;

  async function load(name) {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  }

  const writable = context => !context.isDisposed && !context.model.readOnly && context.contentsModel?.writable !== false;
  const save = context => context.model.dirty && writable(context) ? context.save().catch(() => {}) : undefined;

  // One notebook's, however many views it has.
  class Follower {
    constructor(context, request) {
      this.context = context;
      this.request = request;
      this.cells = new Map();  // the model of the cell of each run
      this.fresh = true;
      const session = context.sessionContext;
      session.kernelChanged.connect(() => this.plan(0, true));
      session.connectionStatusChanged.connect((_, status) => status === 'connected' && this.plan(0, true));
      session.iopubMessage.connect(() => this.unfinished && this.plan(SOON));
      context.ready.then(() => this.plan(0, true));
    }

    // Asks after `delay`, or sooner if that was planned.
    plan(delay, fresh = false) {
      this.fresh ||= fresh;
      const due = Date.now() + delay;
      if (off || this.context.isDisposed || (this.timer && this.due <= due)) return;
      clearTimeout(this.timer);
      this.due = due;
      this.timer = setTimeout(() => this.run(), delay);
    }

    async run() {
      this.timer = 0;
      if (this.busy) { this.missed = true; return; }
      this.busy = true;
      this.missed = false;
      let delay = AFTER_ERROR;
      try {
        delay = await this.ask();
      } catch (error) {
        console.warn('kept outputs:', error);
        this.fresh = true;
      }
      this.busy = false;
      if (this.missed) delay = SOON;
      if (delay) this.plan(delay);
    }

    // Answers after how many milliseconds to ask again, 0 for never.
    async ask() {
      const kernel = this.kernel();
      if (!this.context.isReady || kernel?.connectionStatus !== 'connected') return 0;  // and are told when it is
      const fresh = this.fresh ? 1 : 0;
      this.fresh = false;
      const answer = await this.request(`berth/outputs/${kernel.id}?page=${encodeURIComponent(kernel.clientId)}&fresh=${fresh}`);
      if (!answer) { off = true; return 0; }
      if (this.kernel() !== kernel) return 0;
      this.unfinished = answer.unfinished;
      const changed = answer.runs.map(run => this.show(run)).some(Boolean);
      if (changed && !answer.unfinished) await save(this.context);
      return answer.again * 1000;
    }

    kernel() { return this.context.isDisposed ? undefined : this.context.sessionContext.session?.kernel; }

    // The cell of a run. Before version 4.5 of the format cells have no ids of their own: then the only one with that text.
    find(run) {
      const {cells, nbformatMinor} = this.context.model;
      const same = [...cells].filter(cell => cell.type === 'code' && cell.sharedModel.getSource() === run.code);
      return same.find(cell => cell.id === run.cell) || (nbformatMinor < 5 && same.length === 1 ? same[0] : undefined);
    }

    // A view runs the cell anew: what another page's run of it said is of no interest any more.
    forget(cell) {
      for (const [run, known] of this.cells) if (known === cell) this.cells.delete(run);
    }

    // Answers whether the notebook has changed.
    show(run) {
      if (run.all) this.cells.set(run.id, this.find(run));
      const cell = this.cells.get(run.id);
      if (!cell || cell.isDisposed) return false;  // taken out, or changed since it ran
      if (run.all) {
        cell.trusted = true;  // its user has run it
        cell.outputs.fromJSON(run.outputs);
      } else {
        for (const output of run.outputs) cell.outputs.add(output);
      }
      const done = run.state === 'done';
      cell.executionCount = done ? run.count : null;
      cell.executionState = done ? 'idle' : 'running';
      return true;
    }
  }

  async function plugin() {
    const [{INotebookTracker, NotebookActions}, {ServerConnection}] = await Promise.all([load('@jupyterlab/notebook'), load('@jupyterlab/services')]);
    return {
      id: 'berth-outputs:plugin',
      description: 'Shows what a cell printed while no page showed its notebook.',
      autoStart: true,
      requires: [INotebookTracker],
      activate(app, tracker) {
        const settings = app.serviceManager.serverSettings;
        const request = async path => {
          const response = await ServerConnection.makeRequest(settings.baseUrl + path, {}, settings);
          if (response.status === 404) return undefined;  // the server's half is switched off
          if (!response.ok) throw new Error(`${path}: ${response.status}`);
          return response.json();
        };
        const followers = new WeakMap();
        const follow = ({context}) => { if (!followers.has(context)) followers.set(context, new Follower(context, request)); };
        tracker.forEach(follow);
        tracker.widgetAdded.connect((_, panel) => follow(panel));
        NotebookActions.executionScheduled.connect((_, {notebook, cell}) => {
          const context = tracker.find(panel => panel.content === notebook)?.context;
          if (!context) return;
          followers.get(context)?.forget(cell.model);
          setTimeout(() => {
            if (!off && !context.isDisposed && !cell.isDisposed && cell.model.executionState === 'running') save(context);
          }, LONG);
        });
      },
    };
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['berth-outputs'] = {
    init: scope => { shared = scope; },
    get: async () => { const made = await plugin(); return () => ({__esModule: true, default: made}); },
  };
})();
