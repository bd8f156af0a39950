// The list and the board of tasks: filters, edits in place, moves.
"use strict";

import { announce, api } from "./actions.js";
import { current, register } from "./keys.js";
import { refresh } from "./live.js";
import { assign } from "./task-dialogs.js";
import { dialog, openNew } from "./task-new.js";
import { chooseColumn, reorder } from "./tasks-move.js";

const GROUP = "Tasks";

function region() { return document.getElementById("tasks"); }
function row() { return current()?.closest(".task") ?? null; }

// --- filters ---

const filters = document.querySelector("form.filters");
filters.addEventListener("change", (event) => { if (event.target.matches("select")) filters.requestSubmit(); });

// --- a new task ---

// A task that was just made gets the focus once it is there: the list may have it before the answer has come.
let sought = null;
function seek() {
  const made = sought && document.getElementById(`task-${sought}`);
  if (!made || document.querySelector("dialog[open]")) return;
  sought = null;
  made.tabIndex = -1;
  made.focus();
}
dialog.addEventListener("chorus:done", ({ detail }) => { sought = String(detail.data.id); seek(); });
document.addEventListener("chorus:updated", seek);

// --- edits in place ---

/// Turns a row into a form, until it is saved or left.
function edit(task, field) {
  if (task.querySelector("form.edit")) return;
  const form = document.getElementById("edit-task").content.firstElementChild.cloneNode(true);
  form.dataset.act = `PATCH /api/tasks/${task.dataset.task}`;
  for (const name of ["title", "priority", "labels"]) form.elements[name].value = task.dataset[name];
  // What is typed here is a person's until it is saved: the row is not fetched anew meanwhile.
  task.dataset.keep = "";
  task.draggable = false;
  task.classList.add("editing");
  task.append(form);
  const end = () => {
    form.remove();
    delete task.dataset.keep;
    task.draggable = true;
    task.classList.remove("editing");
    refresh(region());
    task.tabIndex = -1;
    task.focus();
  };
  form.addEventListener("chorus:done", () => { announce(`Task ${task.dataset.task} is changed.`); end(); });
  form.querySelector("[data-cancel]").addEventListener("click", end);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); end(); }
  });
  form.elements[field].focus();
  form.elements[field].select();
}

document.addEventListener("click", (event) => {
  const task = event.target.closest(".task");
  if (!task) return;
  const opener = event.target.closest("[data-edit]");
  if (opener) edit(task, opener.dataset.edit);
  if (event.target.closest("[data-move]")) chooseColumn(task);
});
document.addEventListener("dblclick", (event) => {
  const task = event.target.closest(".task");
  if (!task || event.target.closest("a, button, form")) return;
  edit(task, event.target.closest(".priority") ? "priority" : "title");
});

// --- keys ---

function onRow(run) {
  return () => {
    const task = row();
    if (!task) return false;
    run(task);
    return true;
  };
}

register(
  { key: "n", group: GROUP, what: "New task", run: openNew },
  { key: "e", group: GROUP, what: "Edit the title of the task that has the focus", run: onRow((t) => edit(t, "title")) },
  { key: "p", group: GROUP, what: "Its priority", run: onRow((t) => edit(t, "priority")) },
  { key: "l", group: GROUP, what: "Its labels", run: onRow((t) => edit(t, "labels")) },
  { key: "J", group: GROUP, what: "Put it one place down", run: onRow((t) => reorder(t, 1)) },
  { key: "K", group: GROUP, what: "Put it one place up", run: onRow((t) => reorder(t, -1)) },
  { key: "m", group: GROUP, what: "Move it: start, complete, fail, try again", run: onRow(chooseColumn) },
  { key: "a", group: GROUP, what: "Assign it to an idle session", run: onRow(async (t) => {
    try { await assign(t.dataset.task, (await api("GET", `/api/tasks/${t.dataset.task}`)).data.project_id); }
    catch (problem) { announce(problem.message, true); }
  }) },
  { key: "v", group: GROUP, what: "List or board", run: () => { document.querySelector(".switch a:not([aria-current])").click(); } },
);
