// The page of one task.
"use strict";

import { announce, api } from "./actions.js";
import { register } from "./keys.js";
import { onEvent, refresh } from "./live.js";
import { ask, assign } from "./task-dialogs.js";

const about = () => document.getElementById("about");
const id = about().dataset.task;

async function edit() {
  const dialog = document.getElementById("edit-dialog");
  let task;
  try { task = (await api("GET", `/api/tasks/${id}`)).data; } catch (problem) { announce(problem.message, true); return; }
  const { elements } = dialog.querySelector("form");
  elements.title.value = task.title;
  elements.description.value = task.description;
  elements.priority.value = task.priority;
  elements.labels.value = task.labels.join(", ");
  dialog.querySelector("[data-outcome]").textContent = "";
  dialog.showModal();
}

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
onEvent(({ kind, data }) => {
  if (kind === "document_change" || (kind === "task_update" && String(data.task_id) === id)) preview();
});

// --- references and dependencies ---

function outcome(form, text) { form.querySelector("[data-outcome]").textContent = text; }

/// `docs/a.md:10-40`, `docs/a.md:10` or `docs/a.md`, taken apart.
async function target(text, project) {
  const [, path, start, end] = text.trim().match(/^(.*?)(?::(\d+)(?:-(\d+))?)?$/);
  const at = `/api/documents/${encodeURIComponent(path)}`;
  const query = `?project=${encodeURIComponent(project)}`;
  if (start) return { at: `${at}/references${query}`, start_line: Number(start), end_line: Number(end ?? start) };
  const { line_count } = (await api("GET", `${at}/outline${query}`)).data;
  return { at: `${at}/references${query}`, start_line: 1, end_line: Math.max(1, line_count) };
}

document.getElementById("add-reference").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  outcome(form, "");
  try {
    const { at, ...lines } = await target(form.elements.target.value, about().dataset.project);
    const note = form.elements.note.value.trim();
    await api("POST", at, { task_id: Number(id), ...lines, ...(note ? { note } : {}) });
    form.reset();
    announce("The reference is added.");
    refresh(document.getElementById("references"));
  } catch (problem) { outcome(form, problem.message); }
});

document.getElementById("add-need").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  outcome(form, "");
  const known = document.getElementById("needs").dataset.ids.split(" ").filter(Boolean).map(Number);
  const number = Number.parseInt(form.elements.need.value, 10);
  if (!(number > 0)) { outcome(form, "Name a task by its number."); return; }
  try {
    await api("PATCH", `/api/tasks/${id}`, { depends_on: [...known, number] });
    form.reset();
  } catch (problem) { outcome(form, problem.message); }
});

document.getElementById("need-id").addEventListener("focus", async () => {
  try {
    const tasks = (await api("GET", "/api/tasks?limit=100")).data.filter((t) => String(t.id) !== id);
    document.getElementById("need-list").replaceChildren(...tasks.map((t) => new Option(`${t.id} ${t.title}`, t.id)));
  } catch { /* The number can be typed all the same. */ }
}, { once: true });

document.addEventListener("chorus:done", (event) => {
  const region = event.target.closest("#references");
  if (region) refresh(region);
});

function press(button) {
  return () => {
    const there = document.getElementById(button);
    there?.click();
    return Boolean(there);
  };
}

register(
  { key: "e", group: "Task", what: "Edit", run: press("do-edit") },
  { key: "s", group: "Task", what: "Start", run: press("do-start") },
  { key: "a", group: "Task", what: "Assign to an idle session", run: press("do-assign") },
  { key: "c", group: "Task", what: "Complete", run: press("do-complete") },
  { key: "f", group: "Task", what: "Fail", run: press("do-fail") },
  { key: "r", group: "Task", what: "Retry", run: press("do-retry") },
);
