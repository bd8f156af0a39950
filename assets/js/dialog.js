// Dialogs that a script makes: each is taken out again when it is closed.
"use strict";

/// An element with attributes and children, which may be text.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/// Opens a dialog with these children. Closing it takes it away and calls `closed(dialog)`.
export function openDialog(attributes, children, closed = () => {}) {
  const dialog = element("dialog", { class: "dialog", ...attributes }, ...children);
  dialog.addEventListener("close", () => { dialog.remove(); closed(dialog); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
