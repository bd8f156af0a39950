// What is asked before a task ends or is given away, and what a move of a task does.
"use strict";

import { announce, api } from "./actions.js";

/// Asks for what belongs to `complete` or `fail`, and does it.
export function ask(what, task) {
  const dialog = document.getElementById(`${what}-task`);
  dialog.querySelector("h2").textContent = `${{ complete: "Complete", fail: "Give up", assign: "Assign" }[what]} task ${task}`;
  const form = dialog.querySelector("form");
  form.dataset.act = `POST /api/tasks/${task}/${what}`;
  form.querySelector("[data-outcome]").textContent = "";
  dialog.showModal();
}

/// Asks for an idle session to give a task to.
export async function assign(task, project) {
  let sessions;
  try {
    sessions = (await api("GET", "/api/sessions?claude_status=idle&status=active&limit=200")).data;
  } catch (problem) { announce(problem.message, true); return; }
  const free = sessions.filter((s) => s.task_id === null && s.project_id === project && s.runtime !== "external");
  const dialog = document.getElementById("assign-task");
  const select = dialog.querySelector("select");
  select.replaceChildren(...free.map((s) => new Option(s.name, s.id)));
  select.closest(".field").hidden = free.length === 0;
  dialog.querySelector(".empty").hidden = free.length > 0;
  dialog.querySelector(".primary").disabled = free.length === 0;
  ask("assign", task);
}

async function post(path, done) {
  try {
    const { status } = await api("POST", path, {});
    announce(status === 202 ? `${done} It waits for its turn.` : done);
  } catch (problem) { announce(problem.message, true); }
}

/// Does what a move means: `"start"`, `"retry"`, …, or `{refused: why}`.
export async function move(task, means) {
  switch (means) {
    case null: return;
    case "start": await post(`/api/tasks/${task}/start`, `Task ${task} starts.`); return;
    case "retry": await post(`/api/tasks/${task}/retry`, `Task ${task} is pending again.`); return;
    case "retry_and_start":
      try { await api("POST", `/api/tasks/${task}/retry`, {}); } catch (problem) { announce(problem.message, true); return; }
      await post(`/api/tasks/${task}/start`, `Task ${task} starts again.`);
      return;
    case "complete": ask("complete", task); return;
    case "fail": ask("fail", task); return;
    default: announce(`Task ${task} stays where it is: ${means.refused}`, true);
  }
}
