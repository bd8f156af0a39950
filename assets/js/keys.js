// The keyboard: one table of all keys, and the help that `?` opens.
"use strict";

const keys = [];
let prefix = "";
let prefixTimer = 0;

/// Adds a key: `{key: "a" | "g n" | "Escape", what: "says the help", run(event)}`. What `run` returns as `false` was not
/// meant for it. `group` is a heading in the help.
export function register(...entries) { keys.push(...entries); }

function typing(target) {
  return target.closest?.("input, textarea, select, [contenteditable], .xterm, [data-keys-off]");
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const command = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (command && event.key.toLowerCase() === "k") {
    if (event.target.closest?.(".xterm")) return;
    event.preventDefault();
    keys.find((k) => k.key === "Mod k")?.run(event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && typing(event.target) && !event.target.closest("dialog, .xterm")) {
    event.target.blur();
    return;
  }
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const pressed = prefix ? `${prefix} ${event.key}` : event.key;
  // The last one registered is the page's own.
  for (const entry of keys.filter((k) => k.key === pressed).reverse()) {
    if (entry.run(event) !== false) { event.preventDefault(); clear(); return; }
  }
  clear();
  if (keys.some((k) => k.key.startsWith(`${event.key} `))) {
    prefix = event.key;
    prefixTimer = setTimeout(clear, 1500);
  }
});

function clear() { prefix = ""; clearTimeout(prefixTimer); }

/// Opens the list of all keys.
export function help() {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.setAttribute("aria-labelledby", "keys-title");
  const title = document.createElement("h2");
  title.id = "keys-title";
  title.textContent = "Keys";
  dialog.append(title);
  const groups = new Map();
  for (const entry of keys) {
    const group = entry.group ?? "Everywhere";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(entry);
  }
  for (const [group, entries] of groups) {
    const heading = document.createElement("h3");
    heading.textContent = group;
    const list = document.createElement("dl");
    list.className = "keys";
    for (const { key, what } of entries) {
      const term = document.createElement("dt");
      for (const part of key.replace("Mod", navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl").split(" ")) {
        const kbd = document.createElement("kbd");
        kbd.textContent = part;
        term.append(kbd, " ");
      }
      const said = document.createElement("dd");
      said.textContent = what;
      list.append(term, said);
    }
    dialog.append(heading, list);
  }
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "actions end";
  const close = document.createElement("button");
  close.textContent = "Close";
  form.append(close);
  dialog.append(form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// --- moving through a list: rows are `[data-item]`, in the order of the page ---

function items() {
  return [...document.querySelectorAll("[data-item]")].filter((item) => item.checkVisibility());
}

/// The row that has the focus.
export function current() { return document.activeElement?.closest("[data-item]") ?? null; }

function move(by) {
  const all = items();
  if (!all.length) return false;
  const at = all.indexOf(current());
  const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by))];
  if (!next.hasAttribute("tabindex")) next.tabIndex = -1;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

const go = (href) => () => { location.href = href; };

register(
  { key: "?", what: "Show these keys", run: help },
  { key: "Mod k", what: "Go to a session, task, document or page", run: () => document.dispatchEvent(new Event("chorus:palette")) },
  { key: "/", what: "Search on this page, or everywhere", run: () => {
    const field = document.querySelector("[data-search]");
    if (field) field.focus(); else document.dispatchEvent(new Event("chorus:palette"));
  } },
  { key: "g n", what: "Go to Now", run: go("/") },
  { key: "g t", what: "Go to Tasks", run: go("/tasks") },
  { key: "g d", what: "Go to Documents", run: go("/documents") },
  { key: "g a", what: "Go to Activity", run: go("/activity") },
  { key: "g s", what: "Go to Settings", run: go("/settings") },
  { key: "j", what: "Next row", run: () => move(1) },
  { key: "k", what: "Row before", run: () => move(-1) },
  { key: "Enter", what: "Open the row", run: (event) => {
    if (event.target.closest("a, button, summary")) return false;
    const link = current()?.querySelector("a[href]");
    if (!link) return false;
    link.click();
    return true;
  } },
);
