// The keyboard: one table of all keys, and the help that `?` opens.
"use strict";

import { element, openDialog } from "./dialog.js";

/// How long a first press waits for its second one. Milliseconds.
const ARMED = 3000;

const keys = [];
let prefix = "";
let prefixTimer = 0;

/// Adds a key: `{key: "a" | "g n" | "Escape", what: "says the help", run(event)}`. What `run` returns as `false` was not
/// meant for it. `group` is a heading in the help. A key that is held down counts once, unless it says `repeats: true`.
export function register(...entries) { keys.push(...entries); }

/// For what cannot be taken back: the first press of a key arms an element and says what a second one would do.
export function twice(armed, what, run) {
  const again = "armed" in armed.dataset;
  document.querySelectorAll("[data-armed]").forEach((other) => { delete other.dataset.armed; });
  if (again) { run(); return; }
  const press = String(performance.now());
  armed.dataset.armed = press;
  document.getElementById("polite").textContent = `Press again: ${what}`;
  setTimeout(() => { if (armed.dataset.armed === press) delete armed.dataset.armed; }, ARMED);
}

// Whether keys are letters for what has the focus. A terminal that is only looked at takes none.
function typing(target) {
  if (target.closest?.(".xterm")) return Boolean(target.closest(".typing"));
  return Boolean(target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]"));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const command = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (command && event.key.toLowerCase() === "k") {
    if (event.target.closest?.(".xterm") && typing(event.target)) return;
    event.preventDefault();
    keys.find((k) => k.key === "Mod k")?.run(event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && typing(event.target) && !event.target.closest("dialog, .xterm")) {
    const row = event.target.closest("[data-item]");
    event.target.blur();
    if (row) focus(row);
    return;
  }
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const pressed = prefix ? `${prefix} ${event.key}` : event.key;
  // The last one registered is the page's own.
  for (const entry of keys.filter((k) => k.key === pressed).reverse()) {
    if (event.repeat && !entry.repeats) { event.preventDefault(); return; }
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
  const groups = new Map();
  for (const entry of keys) {
    const group = entry.group ?? "Everywhere";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(entry);
  }
  const mod = navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl";
  const lists = [...groups].flatMap(([group, entries]) => [
    element("h3", {}, group),
    element("dl", { class: "keys" }, ...entries.flatMap(({ key, what }) => [
      element("dt", {}, ...key.replace("Mod", mod).split(" ").flatMap((part) => [element("kbd", {}, part), " "])),
      element("dd", {}, what),
    ])),
  ]);
  openDialog({ "aria-labelledby": "keys-title" }, [
    element("h2", { id: "keys-title" }, "Keys"), ...lists,
    element("form", { method: "dialog", class: "actions end" }, element("button", {}, "Close")),
  ]);
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
  focus(next);
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function focus(row) {
  if (!row.hasAttribute("tabindex")) row.tabIndex = -1;
  row.focus();
}

const go = (href) => () => { location.href = href; };

register(
  { key: "?", what: "Show these keys", run: help },
  { key: "Mod k", what: "Go to a session, task, document or page", run: () => document.dispatchEvent(new Event("chorus:palette")) },
  { key: "/", what: "Search on this page, or everywhere", run: () => {
    const field = [...document.querySelectorAll("[data-search]")].find((f) => f.checkVisibility());
    if (field) field.focus(); else document.dispatchEvent(new Event("chorus:palette"));
  } },
  { key: "g n", what: "Go to Now", run: go("/") },
  { key: "g t", what: "Go to Tasks", run: go("/tasks") },
  { key: "g d", what: "Go to Documents", run: go("/documents") },
  { key: "g a", what: "Go to Activity", run: go("/activity") },
  { key: "g s", what: "Go to Settings", run: go("/settings") },
  { key: "j", what: "Next row", repeats: true, run: () => move(1) },
  { key: "k", what: "Row before", repeats: true, run: () => move(-1) },
  { key: "Enter", what: "Open the row", run: (event) => {
    if (event.target.closest("a, button, summary, input")) return false;
    const row = current();
    // Its own link, not one that a model or a person has written into it.
    const link = row?.querySelector("a.name[href], :scope > .head > a[href]");
    const fold = row?.matches("details") ? row : row?.querySelector(":scope > details");
    if (link) link.click(); else if (fold) fold.open = !fold.open; else return false;
    return true;
  } },
);
