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
  if (!body || body.dataset.filled === version || body.getAttribute("aria-busy")) return;
  body.dataset.filled = version;
  body.setAttribute("aria-busy", "true");
  try {
    const fresh = parse(await text(fold.dataset.fold));
    const [here, turns] = [body.querySelector(":scope > .turns"), turnsOf(fresh)];
    // What a sub-agent did is a list as the conversation is: what is open in it stays open.
    if (here && overlap(here, turns)) await join(here, turns); else body.replaceChildren(fresh);
    document.dispatchEvent(new CustomEvent("chorus:updated", { detail: { target: body } }));
  } catch {
    delete body.dataset.filled;
    body.textContent = "It could not be loaded. Close it and open it again.";
  }
  body.removeAttribute("aria-busy");
  // It may have changed while it was fetched.
  if ("filled" in body.dataset && fold.open) await fill(fold);
}

// `toggle` does not bubble.
document.addEventListener("toggle", async (event) => {
  if (!event.target.matches?.("details[data-fold]")) return;
  // Who opens something at the end wants to read it: what comes meanwhile does not move it away.
  following = false;
  if (event.target.open) await fill(event.target);
  if (talk) following = atEnd();
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
/// More has been said than is shown: it is fetched when somebody goes to the end.
let behind = false;

function atEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - NEAR;
}

function toEnd() {
  scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  following = true;
  if (newer) newer.hidden = true;
  if (behind) look();
}

/// Runs `change`, and keeps what is read where it is.
function still(change) {
  const seen = [...list().children].find((turn) => turn.getBoundingClientRect().bottom > 0);
  const top = seen?.getBoundingClientRect().top;
  change();
  if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - top, behavior: "instant" });
}

function turnsOf(fresh) { return [...fresh.querySelector(".turns")?.children ?? []]; }

function overlap(here, turns) {
  const ids = new Set(turns.map((turn) => turn.id));
  return [...here.children].some((turn) => ids.has(turn.id));
}

/// Brings the end of a list to what it is now: `turns` are its last ones, and at least one of them is there. Without
/// `grows` what is new is left out. Gives how many are new.
async function join(here, turns, grows = true) {
  const present = new Map([...here.children].map((turn) => [turn.id, turn]));
  const first = turns.find((turn) => present.has(turn.id));
  let before = present.get(first?.id)?.previousElementSibling ?? null;
  let added = 0;
  const ids = new Set(turns.map((turn) => turn.id));
  // What has moved or gone since: a prompt takes its place when Claude takes it.
  for (let turn = before ? before.nextElementSibling : here.firstElementChild; turn;) {
    const next = turn.nextElementSibling;
    if (!ids.has(turn.id)) turn.remove();
    turn = next;
  }
  for (const turn of turns) {
    let known = present.get(turn.id);
    if (!known) {
      added += 1;
      if (!grows) continue;
      known = turn;
    } else if (known.dataset.v !== turn.dataset.v) {
      await window.htmx.swap({ text: turn.outerHTML, target: known, swap: "outerMorph", sourceElement: known });
      known = document.getElementById(turn.id);
    }
    const place = before ? before.nextElementSibling : here.firstElementChild;
    if (place !== known) here.insertBefore(known, place);
    before = known;
  }
  return added;
}

async function merge(html) {
  const fresh = parse(html);
  const turns = turnsOf(fresh);
  const here = list();
  if (!turns.length) return;
  document.getElementById("talk-empty")?.remove();
  const isFirst = !here.children.length;
  // Who reads further up keeps what is there, and is not given more than a page can bear.
  const grows = following || here.children.length < MOST;
  let added = turns.length;
  if (isFirst || overlap(here, turns)) {
    added = await join(here, turns, grows);
    behind = added > 0 && !grows;
  } else if (following) {
    // More has come than is read at a time: what lies between is loaded when somebody goes up.
    talk.replaceChildren(...fresh.children);
    behind = false;
  } else {
    behind = true;
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
    if (!following) return;
    if (newer) newer.hidden = true;
    if (behind) look();
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

// What was opened before this script was there.
refill();
