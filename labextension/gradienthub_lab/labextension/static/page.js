/* Elements of a page. Text is always text: nothing that the hub or a file name says becomes markup. */

/** `make('p', {className: 'x'}, 'text', child)` */
export function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A button in JupyterLab's dress. */
export function button(label, onclick, ...classes) {
  return make('button', { type: 'button', className: ['jp-mod-styled', ...classes].join(' '), onclick }, label);
}

/** Set a text only if it differs: a screen reader says it again otherwise, and a selection is lost. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/**
 * Do what `pressed` stands for, once at a time. It is not `disabled` meanwhile: the focus would fall out of the banner or dialog, and
 * with it the keyboard's way on.
 */
export async function once(pressed, action) {
  if (pressed.ariaDisabled === 'true') {
    return;
  }
  pressed.ariaDisabled = 'true';
  try {
    await action();
  } finally {
    pressed.ariaDisabled = 'false';
  }
}
