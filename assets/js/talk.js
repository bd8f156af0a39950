// The conversation: follows its end, keeps still for who reads further up, and fills folds when they are opened.
"use strict";

import { announce } from "./actions.js";
import { register } from "./keys.js";
import { onEvent, onState, text } from "./live.js";
import { refreshAges } from "./time.js";

/// Between two looks at the end, in a page that is seen or hidden. Milliseconds.
const GAP = 150;
const HIDDEN_GAP = 2000;
/// Entries that the page holds at most: what is further up is loaded again when somebody wants it.
const MOST = 600;
/// So near to the end somebody counts as reading it. Pixels.
const NEAR = 120;

function parse(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  refreshAges(fresh.content);
  return fresh.content;
}

// --- folds ---

async function fill(fold) {
  const body = fold.querySelector(":scope > .fold-body");
  const version = fold.closest(".turn")?.dataset.v ?? "";
  if (!body || body.dataset.filled === version) return;
  body.dataset.filled = version;
  body.setAttribute("aria-busy", "true");
  try {
    body.replaceChildren(parse(await text(fold.dataset.fold)));
    document.dispatchEvent(new CustomEvent("chorus:updated", { detail: { target: body } }));
  } catch {
    delete body.dataset.filled;
    body.textContent = "It could not be loaded. Close it and open it again.";
  }
  body.removeAttribute("aria-busy");
}

// `toggle` does not bubble.
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details[data-fold]") && event.target.open) fill(event.target);
}, true);

function refill() {
  document.querySelectorAll("details[data-fold][open]").forEach(fill);
}
document.addEventListener("chorus:updated", (event) => { if (!event.detail?.target?.matches?.(".fold-body")) refill(); });

// --- the end of the conversation ---

const talk = document.getElementById("talk");
const newer = document.getElementById("newer");
const list = () => talk.querySelector(":scope > .turns");
let following = true;

function atEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - NEAR;
}

function toEnd() {
  scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  following = true;
  if (newer) newer.hidden = true;
}

/// Runs `change`, and keeps what is read where it is.
function still(change) {
  const seen = [...list().children].find((turn) => turn.getBoundingClientRect().bottom > 0);
  const top = seen?.getBoundingClientRect().top;
  change();
  if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - top, behavior: "instant" });
}

async function merge(html) {
  const fresh = parse(html);
  const turns = [...fresh.querySelectorAll(".turns > .turn")];
  const here = list();
  if (!turns.length) return;
  document.getElementById("talk-empty")?.remove();
  const known = turns.filter((turn) => document.getElementById(turn.id));
  let added = 0;
  if (!known.length && here.children.length) {
    // More has come than is read at a time: what lies between is loaded when somebody goes up.
    talk.replaceChildren(...fresh.children);
    added = turns.length;
  } else {
    let before = known.length ? document.getElementById(known[0].id)?.previousElementSibling ?? null : null;
    const ids = new Set(turns.map((turn) => turn.id));
    // What has moved or gone since: a prompt takes its place when Claude takes it.
    for (let turn = before ? before.nextElementSibling : here.firstElementChild; turn;) {
      const next = turn.nextElementSibling;
      if (!ids.has(turn.id)) turn.remove();
      turn = next;
    }
    for (const turn of turns) {
      let present = document.getElementById(turn.id);
      if (!present) {
        present = turn;
        added += 1;
      } else if (present.dataset.v !== turn.dataset.v) {
        await window.htmx.swap({ text: turn.outerHTML, target: present, swap: "outerMorph", sourceElement: present });
        present = document.getElementById(turn.id);
      }
      const place = before ? before.nextElementSibling : here.firstElementChild;
      if (place !== present) here.insertBefore(present, place);
      before = present;
    }
  }
  if (following) trim();
  refreshAges(talk);
  refill();
  if (added) {
    if (following) toEnd();
    else if (newer) newer.hidden = false;
  }
}

/// Lets go of what is far above.
function trim() {
  const turns = list();
  if (turns.children.length <= MOST) return;
  while (turns.children.length > MOST) turns.firstElementChild.remove();
  let button = talk.querySelector(":scope > .earlier [data-earlier]");
  if (!button) {
    const line = document.createElement("p");
    line.className = "earlier";
    button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: "Load earlier" });
    line.append(button);
    talk.prepend(line);
  }
  button.dataset.earlier = `/sessions/${talk.dataset.session}?part=earlier&before=${turns.firstElementChild.dataset.place}`;
}

let busy = false;
let again = false;
let last = -Infinity;
let timer = 0;

function look() {
  if (busy || timer) { again = true; return; }
  const wait = last + (document.hidden ? HIDDEN_GAP : GAP) - performance.now();
  if (wait > 0) { timer = setTimeout(() => { timer = 0; now(); }, wait); return; }
  now();
}

async function now() {
  busy = true;
  again = false;
  try {
    await merge(await text(`/sessions/${talk.dataset.session}?part=latest`));
  } catch {
    // The stream says that the server is away; when it is back, everything is looked at.
  }
  busy = false;
  last = performance.now();
  if (again) look();
}

/// Puts what came before above what is there.
async function earlier(button) {
  button.disabled = true;
  try {
    const fresh = parse(await text(button.dataset.earlier));
    const line = button.closest(".earlier");
    const turns = line.parentElement.querySelector(":scope > .turns");
    const change = () => {
      const first = turns.firstElementChild;
      const focused = document.activeElement === button;
      for (const turn of fresh.querySelectorAll(".turns > .turn")) {
        if (!document.getElementById(turn.id)) turns.insertBefore(turn, first);
      }
      const more = fresh.querySelector(".earlier");
      if (more) line.replaceWith(more); else line.remove();
      if (focused) (more?.querySelector("button") ?? turns.firstElementChild)?.focus();
    };
    if (talk && turns === list()) still(change); else change();
    refreshAges(turns);
  } catch {
    button.disabled = false;
    announce("What came before could not be loaded. Try again.", true);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-earlier]");
  if (button) earlier(button);
  const back = event.target.closest("[data-take-back]");
  if (back) takeBack(back.dataset.takeBack);
});

if (talk) {
  const kinds = new Set(["message", "tool_use", "permission_request", "permission_resolved"]);
  onEvent(({ kind, data }) => { if (kinds.has(kind) && data.session_id === talk.dataset.session) look(); });
  onState((state) => { if (state === "live") look(); });
  document.addEventListener("chorus:reset", look);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  addEventListener("scroll", () => {
    following = atEnd();
    if (following && newer) newer.hidden = true;
  }, { passive: true });
  // A request stands at the end, where it is seen.
  document.addEventListener("chorus:updated", ({ detail }) => { if (following && detail?.target?.id === "asks") toEnd(); });
  newer?.addEventListener("click", toEnd);
  // A link to one turn stays there; otherwise the end is what counts.
  if (!location.hash) requestAnimationFrame(toEnd);
  register({ key: "G", group: "Session", what: "Go to the end of the conversation", run: toEnd });
}

// --- the box ---

const prompt = document.getElementById("prompt");
const composer = document.getElementById("composer");

function grow() {
  prompt.rows = Math.min(12, Math.max(2, prompt.value.split("\n").length));
}

function takeBack(text) {
  prompt.value = prompt.value ? `${prompt.value}\n${text}` : text;
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
  prompt.focus();
}

function nameSend() {
  const status = document.getElementById("session-head").dataset.status;
  const send = document.getElementById("send");
  send.textContent = status === "idle" ? "Send" : "Queue";
  send.title = status === "idle" ? "" : `Claude is ${status}: it is sent as soon as Claude is idle.`;
}

if (composer) {
  prompt.addEventListener("input", grow);
  prompt.addEventListener("keydown", (event) => {
    // On a phone Enter is the only line break there is.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    if (prompt.value.trim()) composer.requestSubmit(document.getElementById("send"));
  });
  composer.addEventListener("chorus:done", () => { grow(); toEnd(); look(); });
  document.addEventListener("chorus:updated", nameSend);
  nameSend();
  grow();
  register({ key: "c", group: "Session", what: "Write to Claude", run: () => prompt.focus() });
}
