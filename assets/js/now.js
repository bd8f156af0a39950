// The page Now: filtering, telling several sessions something, ending those that have finished.
"use strict";

import { announce, api, confirmed, isBusy, setBusy } from "./actions.js";
import { current, register, twice } from "./keys.js";
import { refreshRows } from "./live.js";

// --- the filter: what is typed survives updates, so it is applied again after each ---

function filter() {
  const letters = document.getElementById("sessions-filter")?.value.trim().toLowerCase() ?? "";
  for (const row of document.querySelectorAll("#sessions .row")) {
    row.hidden = letters !== "" && !row.textContent.toLowerCase().includes(letters);
  }
}
document.addEventListener("input", (event) => { if (event.target.id === "sessions-filter") filter(); });
document.addEventListener("chorus:updated", filter);

// --- the half hour that is drawn goes on without events ---

setInterval(() => {
  if (document.hidden) return;
  const drawn = [...document.querySelectorAll("#sessions .row:has(svg.spark)")].filter((row) => row.checkVisibility());
  refreshRows(document.getElementById("sessions"), drawn.map((row) => row.id.replace("session-", "")));
}, 60_000);

// --- telling all idle sessions ---

const tell = document.getElementById("tell-idle");

function idle() { return [...document.querySelectorAll("#sessions .row[data-idle]")]; }

document.addEventListener("click", (event) => {
  if (!event.target.closest('[data-opens="tell-idle"]')) return;
  tell.querySelector("ul").replaceChildren(...idle().map((row) => {
    const line = document.createElement("li");
    const label = document.createElement("label");
    label.className = "check";
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: true, value: row.id.replace("session-", "") });
    label.append(box, row.dataset.name);
    line.append(label);
    return line;
  }));
});

tell.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = tell.querySelector("textarea");
  const outcome = tell.querySelector("[data-outcome]");
  if (isBusy(tell)) return;
  const boxes = [...tell.querySelectorAll("input:checked")];
  if (!boxes.length) { outcome.textContent = "Choose at least one session."; return; }
  outcome.textContent = "";
  setBusy(tell, true);
  const sent = await Promise.allSettled(boxes.map((box) =>
    api("POST", `/api/sessions/${box.value}/send`, { text: field.value })));
  setBusy(tell, false);
  const failed = boxes.map((box, i) => [box, sent[i]]).filter(([, s]) => s.status === "rejected");
  announce(`Sent to ${boxes.length - failed.length} of ${boxes.length} sessions.`, failed.length > 0);
  if (!failed.length) {
    field.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    tell.close();
    return;
  }
  // Those that have it are not told again.
  boxes.filter((box) => !failed.some(([f]) => f === box)).forEach((box) => { box.checked = false; });
  outcome.textContent = failed.map(([box, s]) => `${box.parentElement.textContent}: ${s.reason.message}`).join("\n");
});

// --- ending what has finished ---

document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-end-finished]")) return;
  const rows = [...document.querySelectorAll("[data-finished]")];
  const names = rows.map((row) => row.dataset.name).join(", ");
  if (!await confirmed(`End ${names}? Their Claudes stop and they leave this page; their records stay.`, "End them")) return;
  const ended = await Promise.allSettled(rows.map((row) => end(row.dataset.finished, row.dataset.name)));
  const failed = ended.filter((e) => e.status === "rejected");
  announce(failed.length ? `${failed.length} did not end: ${failed[0].reason.message}` : `Ended ${rows.length}.`, failed.length > 0);
});

// It may have been told something while the question was open.
async function end(id, name) {
  const { data } = await api("GET", `/api/sessions/${id}`);
  if (data.claude_status !== "idle") throw new Error(`${name} is ${data.claude_status}: its turn is not cut off.`);
  await api("PATCH", `/api/sessions/${id}`, { status: "completed" });
}

// --- a new session ---

const newSession = document.getElementById("new-session");

// /?new=session opens it; once it is closed the address is the page's again.
if (new URLSearchParams(location.search).get("new") === "session") newSession.showModal();
newSession.addEventListener("close", () => {
  const url = new URL(location.href);
  url.searchParams.delete("new");
  history.replaceState(null, "", url);
});

// --- keys ---

function session() {
  const row = current();
  return row?.id.replace(/^(session|problem|finished)-/, "");
}

register(
  { key: "n", group: "Now", what: "New session", run: () => newSession.showModal() },
  { key: "i", group: "Now", what: "Interrupt the session that has the focus; press twice", run: () => {
    const id = current()?.matches(".row") && session();
    if (!id) return false;
    twice(current(), `interrupt ${current().dataset.name}`, () => {
      api("POST", `/api/sessions/${id}/interrupt`, {}).then(() => announce("Interrupted."), (e) => announce(e.message, true));
    });
    return true;
  } },
);
