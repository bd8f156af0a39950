// The page of one document: its outline, its references, and lines that are added to tasks.
"use strict";

import { announce, api } from "./actions.js";
import { edit } from "./document-edit.js";
import { clear, fromAddress, holder, itemOf, items, onSelect, selected, words } from "./document-lines.js";
import { register } from "./keys.js";

const { document: id, project, path } = document.getElementById("document").dataset;
const bar = document.getElementById("selection");

// --- the outline follows the scroll ---

let planned = false;
let followed = false;

function follow() {
  planned = false;
  const links = [...document.querySelectorAll("#outline a[data-line]")];
  if (!links.length) return;
  // Who has scrolled the outline before this script was there stays where that led.
  const left = !followed && document.getElementById("outline").scrollTop > 0;
  followed = true;
  const top = items().find((i) => i.element.getBoundingClientRect().bottom > 96);
  // What is short and near the end never comes to the top.
  const atEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  const line = top && !atEnd ? top.end : Infinity;
  const now = links.findLast((a) => Number(a.dataset.line) <= line) ?? null;
  for (const a of links) {
    if (a === now) { if (!a.hasAttribute("aria-current")) { a.setAttribute("aria-current", "true"); if (!left) keepSeen(a); } }
    else a.removeAttribute("aria-current");
  }
}

// Only the outline scrolls, not the page.
function keepSeen(link) {
  const outline = document.getElementById("outline");
  const [box, all] = [link.getBoundingClientRect(), outline.getBoundingClientRect()];
  if (box.top < all.top) outline.scrollTop -= all.top - box.top;
  else if (box.bottom > all.bottom) outline.scrollTop += box.bottom - all.bottom;
}

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(follow);
}
addEventListener("scroll", plan, { passive: true });
addEventListener("resize", () => { plan(); placeMarks(); });

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-line]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const line = Number(link.dataset.line);
  const all = items();
  if (!all.length || line < all[0].start || line > all.at(-1).end) return;
  event.preventDefault();
  history.replaceState(null, "", link.href);
  const { element } = itemOf(line);
  element.scrollIntoView({ block: "start" });
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
});

// --- references, beside their lines ---

function placeMarks() {
  const margin = document.getElementById("margin");
  const wide = matchMedia("(min-width: 80rem)").matches;
  const top = margin.getBoundingClientRect().top;
  let free = margin.querySelector("h2").offsetHeight + 8;
  document.querySelectorAll(".referred").forEach((e) => e.classList.remove("referred"));
  const all = items();
  for (const mark of margin.querySelectorAll(".mark")) {
    const [start, end] = [Number(mark.dataset.start), Number(mark.dataset.end)];
    if (mark.dataset.state !== "missing") {
      for (const i of all) if (i.start <= end && start <= i.end) i.element.classList.add("referred");
    }
    const item = mark.classList.contains("here") ? itemOf(start) : null;
    mark.classList.toggle("placed", wide);
    if (!wide) { mark.style.top = ""; continue; }
    const wanted = item ? item.element.getBoundingClientRect().top - top : free;
    const at = Math.max(free, wanted);
    mark.style.top = `${at}px`;
    free = at + mark.offsetHeight + 6;
  }
  margin.style.minHeight = wide ? `${free}px` : "";
}
document.addEventListener("chorus:updated", () => { placeMarks(); plan(); });
document.addEventListener("toggle", (event) => { if (event.target.closest?.("#margin")) placeMarks(); }, true);

// --- links to other documents ---

function slug(text) { return text.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-"); }

/// A part of an address as text; as it is if it cannot be one.
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

/// Gives the links to other documents their addresses here, so that they open as any link does.
function resolveLinks() {
  const here = new URL(path.split("/").map(encodeURIComponent).join("/"), "http://project/");
  for (const link of document.querySelectorAll("#lines a[href]")) {
    const href = link.getAttribute("href");
    if (/^([a-z][a-z0-9+.-]*:|\/|#)/i.test(href) || !URL.canParse(href, here)) continue;
    const file = decoded(new URL(href, here).pathname.slice(1));
    link.href = `/documents/find?${new URLSearchParams({ project, path: file })}`;
  }
}
document.addEventListener("chorus:updated", resolveLinks);

document.addEventListener("click", (event) => {
  const link = event.target.closest('#lines a[href^="#"]');
  if (!link) return;
  event.preventDefault();
  const name = decoded(link.getAttribute("href").slice(1));
  [...document.querySelectorAll("#outline a")].find((a) => slug(a.textContent) === name)?.click();
});

// --- selected lines, and the task that they are added to ---

onSelect((lines) => {
  bar.hidden = !lines;
  if (!lines) return;
  const { start, end } = lines;
  bar.querySelector("[data-count]").textContent = words(lines);
  document.getElementById("do-copy").dataset.copy = `${path}:${start === end ? start : `${start}-${end}`}`;
});
document.getElementById("do-clear").addEventListener("click", () => { clear(); holder()?.focus(); });

const dialog = document.getElementById("add-lines");
const form = dialog.querySelector("form");
const { task, title, note } = form.elements;

function chosen() {
  const isNew = task.value === "";
  document.getElementById("add-new").hidden = !isNew;
  title.required = isNew;
}
task.addEventListener("change", chosen);

async function add() {
  const lines = selected();
  if (!lines) return false;
  form.querySelector("[data-outcome]").textContent = "";
  document.getElementById("add-what").textContent = `${path}:${lines.start}-${lines.end}`;
  let tasks = [];
  try {
    const answers = await Promise.all(["pending", "running", "waiting", "assigned"].map((status) =>
      api("GET", `/api/tasks?limit=100&status=${status}&project_id=${encodeURIComponent(project)}`)));
    tasks = answers.flatMap((a) => a.data);
  } catch { /* A new one can be made all the same. */ }
  const before = task.value;
  task.replaceChildren(new Option("New task…", ""), ...tasks.map((t) => new Option(`${t.id} ${t.title}`, t.id)));
  task.value = tasks.some((t) => String(t.id) === before) ? before : "";
  chosen();
  dialog.showModal();
  return true;
}
document.getElementById("do-add").addEventListener("click", add);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { start, end } = selected();
  const why = note.value.trim();
  const lines = { start_line: start, end_line: end, ...(why ? { note: why } : {}) };
  const button = form.querySelector(".primary");
  button.disabled = true;
  try {
    let to = task.value;
    if (to) await api("POST", `/api/documents/${id}/references`, { task_id: Number(to), ...lines });
    else to = (await api("POST", "/api/tasks", { title: title.value, project_id: project, references: [{ document: path, ...lines }] })).data.id;
    dialog.close();
    form.reset();
    announce(`${words({ start, end })} belong to task ${to} now.`);
    clear();
    holder()?.focus();
  } catch (problem) {
    form.querySelector("[data-outcome]").textContent = problem.message;
  } finally { button.disabled = false; }
});

// --- what is done with the document ---

document.addEventListener("change", async (event) => {
  const select = event.target;
  if (select.id !== "category") return;
  try { await api("PATCH", `/api/documents/${id}`, { category: select.value }); announce(`Its category is ${select.value}.`); }
  catch (problem) {
    announce(problem.message, true);
    // What the server has said last is what it still is.
    select.value = [...select.options].find((option) => option.defaultSelected).value;
  }
});

document.addEventListener("change", async ({ target }) => {
  if (target.id !== "description") return;
  try { await api("PATCH", `/api/documents/${id}`, { description: target.value.trim() || null }); announce("What it is about is kept."); }
  catch (problem) { announce(problem.message, true); }
});
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "description" || event.isComposing) return;
  if (event.key === "Escape") event.target.value = event.target.defaultValue;
  else if (event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  event.target.blur();
}, true);

async function openEditor() {
  const said = document.getElementById("opened");
  try {
    const line = selected()?.start;
    const { data } = await api("POST", `/api/documents/${id}/edit${line ? `?line=${line}` : ""}`, {});
    said.replaceChildren();
    if (!data.attach) { said.textContent = `${data.argv[0]} opens it.`; return; }
    const command = document.createElement("code");
    command.textContent = data.attach.command ?? data.attach.argv.join(" ");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.dataset.copy = command.textContent;
    button.textContent = "Copy";
    said.append(`${data.argv[0].split("/").pop()} has it open in a terminal: `, command, " ", button);
  } catch (problem) { said.textContent = problem.message; }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#do-edit")) edit();
  if (event.target.closest("[data-editor]")) openEditor();
});

register(
  { key: "t", group: "Document", what: "Add the selected lines to a task", run: () => (selected() ? (add(), true) : false) },
  { key: "e", group: "Document", what: "Edit it here", run: () => edit() },
  { key: "E", group: "Document", what: "Open it in $EDITOR", run: () => openEditor() },
  { key: "v", group: "Document", what: "Rendered or source", run: () => document.querySelector(".tabs a:not([aria-current])").click() },
  { key: "Escape", group: "Document", what: "Select nothing", run: () => (selected() ? (clear(), true) : false) },
);

resolveLinks();
fromAddress();
placeMarks();
follow();
// Fonts and images change heights.
document.fonts.ready.then(placeMarks);
