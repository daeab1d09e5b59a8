/*
 * What JupyterLab loads: a module-federation container, written by hand.
 *
 * JupyterLab hands `init` the modules it shares, and asks `get` for our plugin. Nothing of JupyterLab is bundled here; what the
 * plugin needs is taken from those shared modules, so it is always the very copy that JupyterLab itself uses.
 */
(() => {
  'use strict';

  const here = document.currentScript.src;
  let shared = {};

  /** Of several versions the one in use, else the newest: there must be only one of a module that holds tokens. */
  function chosen(versions) {
    const byAge = Object.keys(versions).sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    return versions[byAge.find(version => versions[version].loaded) ?? byAge.at(-1)];
  }

  /** A shared module, or null where this application has none of that name (Notebook has fewer than JupyterLab). */
  async function take(name) {
    const versions = shared[name];
    if (!versions) {
      return null;
    }
    const entry = chosen(versions);
    const factory = await entry.get();
    entry.loaded = 1;
    return factory();
  }

  async function plugin() {
    const [apputils, coreutils, docmanager, services, statusbar, widgets, own] = await Promise.all([
      take('@jupyterlab/apputils'),
      take('@jupyterlab/coreutils'),
      take('@jupyterlab/docmanager'),
      take('@jupyterlab/services'),
      take('@jupyterlab/statusbar'),
      take('@lumino/widgets'),
      import(new URL('plugin.js', here).href)
    ]);
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = new URL('style.css', here).href;
    document.head.append(style);
    const made = own.makePlugin({ apputils, coreutils, docmanager, services, statusbar, widgets });
    return () => ({ __esModule: true, default: made });
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB['gradienthub-lab'] = {
    init: scope => {
      shared = scope;
    },
    get: async name => {
      if (name !== './extension') {
        throw new Error(`gradienthub-lab has no module ${name}`);
      }
      return plugin();
    }
  };
})();
