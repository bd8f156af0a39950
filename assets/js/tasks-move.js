// Tasks that are dragged, or moved by key: to another place among those of their priority, or to another column.
"use strict";

import { announce, api } from "./actions.js";
import { refresh } from "./live.js";
import { move } from "./task-dialogs.js";

function region() { return document.getElementById("tasks"); }
function means(task, column) { return JSON.parse(region().dataset.moves)[task.dataset.status][column]; }
function others(task) { return [...task.parentElement.querySelectorAll(".task")].filter((t) => t !== task); }

// --- order ---

let sent = Promise.resolve();
let underway = 0;

/// Puts a task before another one of its list, or at its end. Among tasks of another priority it gets theirs.
function place(task, list, before) {
  if (!("orderable" in region().dataset)) {
    announce("This order is not by hand. Choose the order by priority to put tasks into an order of your own.", true);
    return;
  }
  if (list.closest("[data-newest]")) { announce("In this column the newest task comes first."); return; }
  const rest = [...list.querySelectorAll(".task")].filter((t) => t !== task);
  const at = before ? rest.indexOf(before) : rest.length;
  const around = [rest[at - 1], rest[at]].filter(Boolean).map((t) => t.dataset.priority);
  const id = task.dataset.task;
  const priority = around.length === 0 || around.includes(task.dataset.priority) ? task.dataset.priority : around[0];
  const next = [...rest.slice(0, at), task, ...rest.slice(at)];
  const ids = next.filter((t) => t === task || t.dataset.priority === priority).map((t) => Number(t.dataset.task));
  const focused = task.contains(document.activeElement);
  list.insertBefore(task, before ?? null);
  if (focused) task.focus();
  const changes = priority !== task.dataset.priority;
  task.dataset.priority = priority;
  // One after the other: whoever holds a key down makes many. Until the last is kept the page shows them as they will be.
  region().dataset.keep = "";
  underway += 1;
  sent = sent.then(async () => {
    if (changes) {
      await api("PATCH", `/api/tasks/${id}`, { priority: Number(priority) });
      announce(`Task ${id} has priority ${priority} now, as those around it.`);
    }
    if (ids.length > 1) await api("PUT", "/api/tasks/order", { ids });
    document.getElementById("polite").textContent = `Task ${id} is at place ${at + 1} of ${next.length}.`;
  }).catch((problem) => {
    announce(problem.message, true);
  }).finally(() => {
    underway -= 1;
    if (underway) return;
    delete region().dataset.keep;
    refresh(region());
  });
}

/// Puts a task one place up or down.
export function reorder(task, by) {
  const list = task.parentElement;
  const all = [...list.querySelectorAll(".task")];
  const to = all.indexOf(task) + by;
  if (to < 0 || to >= all.length) return;
  place(task, list, by > 0 ? all[to + 1] ?? null : all[to]);
}

// --- columns ---

const COLUMNS = [["pending", "Pending"], ["running", "Running"], ["waiting", "Waiting for you"], ["failed", "Failed"], ["completed", "Completed"]];
const SAYS = { start: "Start it", retry: "Make it pending again", retry_and_start: "Try again now", complete: "Complete it…", fail: "Give it up…" };

/// Asks where a task is to go.
export function chooseColumn(task) {
  const dialog = document.getElementById("move-task");
  dialog.querySelector("h2").textContent = `Move task ${task.dataset.task}`;
  dialog.querySelector("[data-outcome]").textContent = "";
  const moves = dialog.querySelector(".moves");
  moves.replaceChildren(...COLUMNS.map(([column, title]) => {
    const what = means(task, column);
    const line = document.createElement("div");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = what === null ? `${title}: it is there` : title;
    button.disabled = what === null;
    const why = document.createElement("span");
    why.className = "soft small wrap";
    why.textContent = what === null ? "" : SAYS[what] ?? `Not possible: ${what.refused}`;
    button.addEventListener("click", () => {
      if (what.refused) { dialog.querySelector("[data-outcome]").textContent = `Task ${task.dataset.task} stays where it is: ${what.refused}`; return; }
      dialog.close();
      move(task.dataset.task, what);
    });
    line.append(button, why);
    return line;
  }));
  // For whoever has neither a mouse nor keys.
  const places = document.createElement("div");
  for (const [title, by] of [["Up one place", -1], ["Down one place", 1]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () => { dialog.close(); reorder(task, by); });
    places.append(button);
  }
  moves.append(places);
  dialog.showModal();
}

// --- dragging ---

let dragged = null;
let mark = null;

function clear() {
  mark?.classList.remove("before", "after");
  document.querySelectorAll(".lane.over").forEach((l) => l.classList.remove("over"));
  mark = null;
}

/// The task before which something is dropped at this height; null for the end.
function below(list, y) {
  return [...list.querySelectorAll(".task")].find((t) => {
    const box = t.getBoundingClientRect();
    return t !== dragged && y < box.top + box.height / 2;
  }) ?? null;
}

document.addEventListener("dragstart", (event) => {
  const task = event.target.closest?.(".task");
  if (!task) return;
  dragged = task;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", `task ${task.dataset.task}`);
  task.classList.add("dragged");
});
document.addEventListener("dragend", () => { dragged?.classList.remove("dragged"); dragged = null; clear(); });
document.addEventListener("dragover", (event) => {
  if (!dragged) return;
  const place = event.target.closest?.(".lane, .task-list");
  if (!place) return;
  event.preventDefault();
  clear();
  const lane = place.closest(".lane");
  if (lane && !lane.contains(dragged)) { lane.classList.add("over"); return; }
  const list = lane?.querySelector(".task-list") ?? place.closest(".task-list");
  const next = below(list, event.clientY);
  mark = next ?? others(dragged).at(-1) ?? null;
  mark?.classList.add(next ? "before" : "after");
});
document.addEventListener("drop", (event) => {
  if (!dragged) return;
  const where = event.target.closest?.(".lane, .task-list");
  if (!where) return;
  event.preventDefault();
  const task = dragged;
  const lane = where.closest(".lane");
  clear();
  if (lane && !lane.contains(task)) { move(task.dataset.task, means(task, lane.dataset.column)); return; }
  const list = lane?.querySelector(".task-list") ?? where.closest(".task-list");
  place(task, list, below(list, event.clientY));
});
