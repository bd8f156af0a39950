// The page of one task.
"use strict";

import { announce, api, bodyOf, confirmed, isBusy, setBusy } from "./actions.js";
import { register, twice } from "./keys.js";
import { onEvent, refresh } from "./live.js";
import { ask, assign } from "./task-dialogs.js";

const about = () => document.getElementById("about");
const id = about().dataset.task;

function outcome(form, text) { form.querySelector("[data-outcome]").textContent = text; }

/// Does `run(form)` when a form is sent, once at a time; what goes wrong is said beside it.
function onSubmit(form, run) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isBusy(form)) return;
    setBusy(form, true);
    outcome(form, "");
    try { await run(form); } catch (problem) { outcome(form, problem.message); }
    setBusy(form, false);
  });
}

// --- its words ---

const dialog = document.getElementById("edit-dialog");
const form = document.getElementById("edit-form");
const KEPT = `task-${id}`;
/// What the dialog was opened with: only what a person has changed is sent.
let read = {};

/// What differs from what was read.
function changes() {
  return Object.fromEntries(Object.entries(bodyOf(form)).filter(([name, now]) => JSON.stringify(now) !== JSON.stringify(read[name])));
}

/// Keeps what is half written in this tab: neither Escape nor a reload takes it away.
function keep() {
  const typed = Object.keys(changes()).map((name) => [name, form.elements[name].value]);
  try {
    if (typed.length) sessionStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(typed)));
    else sessionStorage.removeItem(KEPT);
  } catch { /* There is no room for it. */ }
}

async function edit() {
  let task;
  try { task = (await api("GET", `/api/tasks/${id}`)).data; } catch (problem) { announce(problem.message, true); return; }
  const { elements } = form;
  elements.title.value = task.title;
  elements.description.value = task.description;
  elements.priority.value = task.priority;
  elements.labels.value = task.labels.join(", ");
  read = bodyOf(form);
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  for (const [name, typed] of Object.entries(kept)) elements[name].value = typed;
  outcome(form, Object.keys(changes()).length ? "What you had changed and not saved is here again." : "");
  dialog.showModal();
}

function leave() {
  sessionStorage.removeItem(KEPT);
  dialog.close();
}

form.addEventListener("input", keep);
document.getElementById("leave-edit").addEventListener("click", async () => {
  const differs = Object.keys(changes()).length > 0;
  if (!differs || await confirmed("What you have changed is not saved. Throw it away?", "Throw away")) leave();
});

onSubmit(form, async () => {
  const changed = changes();
  if (Object.keys(changed).length) {
    await api("PATCH", `/api/tasks/${id}`, changed);
    announce("It is changed.");
  }
  leave();
});

function open(what) {
  if (what === "edit") edit();
  else if (what === "assign") assign(id, about().dataset.project);
  else ask(what, id);
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-ask]");
  if (opener) open(opener.dataset.ask);
});

// --- what Claude is told ---

const prompt = document.getElementById("prompt");

async function preview() {
  if (!prompt.open) return;
  const text = prompt.querySelector("pre");
  try { text.textContent = (await api("GET", `/api/tasks/${id}/prompt`)).data.prompt; }
  catch (problem) { text.textContent = problem.message; }
}
prompt.addEventListener("toggle", preview);
// It may have been opened before this script was there.
preview();
onEvent(({ kind, data }) => {
  if (kind === "document_change" || (kind === "task_update" && String(data.task_id) === id)) preview();
});

// --- references and dependencies ---

/// `docs/a.md:10-40`, `docs/a.md:10` or `docs/a.md`, taken apart.
async function target(text, project) {
  const [, path, start, end] = text.trim().match(/^(.*?)(?::(\d+)(?:-(\d+))?)?$/);
  const at = `/api/documents/${encodeURIComponent(path)}`;
  const query = `?project=${encodeURIComponent(project)}`;
  if (start) return { at: `${at}/references${query}`, start_line: Number(start), end_line: Number(end ?? start) };
  const { line_count } = (await api("GET", `${at}/outline${query}`)).data;
  return { at: `${at}/references${query}`, start_line: 1, end_line: Math.max(1, line_count) };
}

onSubmit(document.getElementById("add-reference"), async (form) => {
  const { at, ...lines } = await target(form.elements.target.value, about().dataset.project);
  const note = form.elements.note.value.trim();
  await api("POST", at, { task_id: Number(id), ...lines, ...(note ? { note } : {}) });
  form.reset();
  announce("The reference is added.");
  refresh(document.getElementById("references"));
});

onSubmit(document.getElementById("add-need"), async (form) => {
  const known = document.getElementById("needs").dataset.ids.split(" ").filter(Boolean).map(Number);
  const number = Number.parseInt(form.elements.need.value, 10);
  if (!(number > 0)) throw new Error("Name a task by its number.");
  await api("PATCH", `/api/tasks/${id}`, { depends_on: [...known, number] });
  form.reset();
});

document.getElementById("need-id").addEventListener("focus", async () => {
  try {
    const tasks = (await api("GET", "/api/tasks?limit=100")).data.filter((t) => String(t.id) !== id);
    document.getElementById("need-list").replaceChildren(...tasks.map((t) => new Option(`${t.id} ${t.title}`, t.id)));
  } catch { /* The number can be typed all the same. */ }
}, { once: true });

// --- keys ---

/// Presses a button. `sure(button, press)` may ask for more before.
function press(button, sure = (_, now) => now()) {
  return () => {
    const there = document.getElementById(button);
    if (there) sure(there, () => there.click());
    return Boolean(there);
  };
}

register(
  { key: "e", group: "Task", what: "Edit", run: press("do-edit") },
  { key: "s", group: "Task", what: "Start; press twice", run: press("do-start", (start, now) => twice(start, "start it", now)) },
  { key: "a", group: "Task", what: "Assign to an idle session", run: press("do-assign") },
  { key: "c", group: "Task", what: "Complete", run: press("do-complete") },
  { key: "f", group: "Task", what: "Fail", run: press("do-fail") },
  { key: "r", group: "Task", what: "Retry", run: press("do-retry") },
);
