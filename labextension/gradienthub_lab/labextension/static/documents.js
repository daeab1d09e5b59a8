/* Saves what is open and changed, without ever asking anybody anything: there may be nobody. */

const SAVE_SECONDS = 10;
const AREAS = ['main', 'down', 'left', 'right'];

export class Documents {
  /** @param app the application; @param manager its IDocumentManager, or null where it has none */
  constructor(app, manager) {
    this._app = app;
    this._manager = manager;
  }

  /** Save all changed documents: `{saved: [path], failed: [{path, why}]}`. Never throws, never opens a dialog. */
  async saveAll() {
    const saved = [];
    const failed = [];
    await Promise.all(
      this._changed().map(async context => {
        try {
          await saveQuietly(context);
          saved.push(context.path);
        } catch (error) {
          failed.push({ path: context.path, why: error?.message || 'the server did not take it' });
        }
      })
    );
    return { saved, failed };
  }

  _changed() {
    const contexts = new Set();
    for (const area of AREAS) {
      for (const widget of this._widgets(area)) {
        const context = this._manager?.contextForWidget(widget);
        if (context?.model.dirty) {
          contexts.add(context);
        }
      }
    }
    return [...contexts];
  }

  _widgets(area) {
    try {
      return [...this._app.shell.widgets(area)];
    } catch {
      // Notebook's shell has fewer areas than JupyterLab's and throws for the others.
      return [];
    }
  }
}

function saveQuietly(context) {
  if (context.model.readOnly || context.contentsModel?.writable === false) {
    throw new Error('it is read-only');
  }
  // A context reports failures and conflicts in a modal dialog of its own, from these two methods. Here they only fail.
  const quiet = {
    _handleError: async () => undefined,
    _raiseConflict: async () => {
      throw new Error('it was changed on disk meanwhile');
    }
  };
  const saving = new Proxy(context, {
    get: (target, name) => (Object.hasOwn(quiet, name) ? quiet[name] : Reflect.get(target, name))
  }).save();
  return Promise.race([saving, tooLate()]);
}

function tooLate() {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error('the server did not answer in time')), SAVE_SECONDS * 1000);
  });
}
