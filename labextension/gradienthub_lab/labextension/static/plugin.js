/* Puts the lease into JupyterLab: an item in the status bar, a panel behind it, a banner before a stop. */

import { Banner } from './banner.js';
import { Details } from './details.js';
import { Documents } from './documents.js';
import { make, setText } from './page.js';
import { watchPerson } from './presence.js';
import { notice, silenceText, statusText } from './rules.js';
import { Server } from './server.js';
import { Watch } from './watch.js';

/** The plugin, made of the modules that JupyterLab shares; `statusbar` is null where the application has none. */
export function makePlugin(jupyter) {
  const { apputils, docmanager, statusbar } = jupyter;
  const wanted = { manager: docmanager?.IDocumentManager, palette: apputils.ICommandPalette, bar: statusbar?.IStatusBar };
  const names = Object.keys(wanted).filter(name => wanted[name]);
  return {
    id: 'gradienthub-lab:lease',
    description: 'Price, time left, warnings and Extend of a notebook that a GradientHub started.',
    autoStart: true,
    optional: names.map(name => wanted[name]),
    activate: (app, ...given) =>
      activate(app, jupyter, Object.fromEntries(names.map((name, place) => [name, given[place]])))
  };
}

function activate(app, { apputils, coreutils, services, widgets }, { manager, palette, bar }) {
  const item = new widgets.Widget({ node: make('button', { type: 'button', className: 'gh-Status', hidden: true }) });
  item.id = 'gradienthub-lease';
  item.hide();
  const server = new Server(services, coreutils);
  let known = false;
  const watch = new Watch(server, new Documents(app, manager), {
    changed: draw,
    tell: sentence => banner.tell(sentence)
  });
  const banner = new Banner({ extend: () => watch.extend(), saveAll: () => watch.saveAll() });
  const details = new Details(() => watch.extend());

  function draw() {
    const { lease, now, silentSince } = watch;
    item.setHidden(!lease);
    item.node.hidden = !lease;
    banner.show(notice(lease, now), lease, now, silentSince);
    if (!lease) {
      return;
    }
    if (!known) {
      known = true;
      watchPerson(() => server.personIsThere().catch(() => undefined));
    }
    setText(item.node, statusText(lease, now, silentSince));
    item.node.classList.toggle('gh-mod-away', silentSince !== null);
    const stale = silentSince === null ? '' : `\nThis is of then: there is ${silenceText(silentSince, now)}.`;
    item.node.title = `${lease.machine}\n${lease.cost_text} so far\n${lease.stop_why}${stale}`;
    details.show(lease, now, silentSince);
  }

  async function showDetails() {
    details.open();
    draw();
    const body = new widgets.Widget({ node: details.node });
    await apputils.showDialog({ title: 'This notebook', body, buttons: [apputils.Dialog.cancelButton({ label: 'Close' })] });
  }

  item.node.onclick = showDetails;
  if (bar) {
    bar.registerStatusItem('gradienthub-lab:lease', { item, align: 'right', rank: 900, isActive: () => !item.isHidden });
  } else {
    app.shell.add(item, 'menu', { rank: 9000 });
  }
  document.body.prepend(banner.node);

  const commands = {
    'gradienthub:show-lease': ['Show Price and Time Left of This Notebook', showDetails],
    'gradienthub:extend': [
      'Extend the Time of This Notebook',
      async () => {
        apputils.Notification.info(await watch.extend());
      }
    ]
  };
  for (const [command, [label, execute]] of Object.entries(commands)) {
    app.commands.addCommand(command, { label, execute, isVisible: () => watch.lease !== null });
    palette?.addItem({ command, category: 'Notebook Time' });
  }
  app.restored.then(() => watch.start());
}
