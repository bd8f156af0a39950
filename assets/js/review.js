// Comments on lines of a diff, and on parts of a plan. They are kept in this tab until they go to Claude, all of them
// as one message.
"use strict";

import { announce, api, confirmed } from "./actions.js";
import { element, openDialog } from "./dialog.js";

const head = document.getElementById("session-head");
const session = new URL(head.dataset.src, location.href).pathname.split("/")[2];
const KEY = `review-${session}`;
/// Lines that a comment repeats at most.
const QUOTED = 20;

/// `{text, quote, path?, first?, last?, side?, plan?}`: `plan` is the request that waits with it, or "past".
let comments = [];
try { comments = JSON.parse(sessionStorage.getItem(KEY)) ?? []; } catch { /* nothing that can be read is nothing */ }

function keep() {
  if (comments.length) sessionStorage.setItem(KEY, JSON.stringify(comments)); else sessionStorage.removeItem(KEY);
  show();
}

function where(comment) {
  if (comment.plan) return "The plan";
  const lines = comment.first === comment.last ? `line ${comment.first}` : `lines ${comment.first} to ${comment.last}`;
  return `${comment.path}, ${comment.side === "removed" ? "removed " : ""}${lines}`;
}

// --- writing one ---

function write(comment, at = -1) {
  const area = element("textarea", { id: "comment-text", rows: "4", placeholder: "What should be different?" });
  // What is half written is kept in this tab: neither Escape nor a reload takes it away.
  const draft = `${KEY}-${at}-${where(comment)}-${comment.quote.slice(0, 80)}`;
  const written = comment.text ?? "";
  area.value = sessionStorage.getItem(draft) ?? written;
  area.addEventListener("input", () => {
    if (area.value === written) sessionStorage.removeItem(draft); else sessionStorage.setItem(draft, area.value);
  });
  const leave = () => { sessionStorage.removeItem(draft); dialog.close(); };
  const quote = element("pre", { tabindex: "0", "aria-label": "What it is about" }, comment.quote);
  const cancel = element("button", { type: "button" }, "Cancel");
  const form = element("form", { method: "dialog" },
    element("p", { class: "field" }, element("label", { for: "comment-text" }, "Comment"), area),
    element("div", { class: "actions end" }, cancel, element("button", { class: "primary" }, at < 0 ? "Add comment" : "Keep")));
  cancel.addEventListener("click", async () => {
    if (area.value === written || await confirmed("Your comment is not kept. Throw it away?", "Throw away")) leave();
  });
  form.addEventListener("submit", () => {
    sessionStorage.removeItem(draft);
    const text = area.value.trim();
    if (!text) return;
    const whole = { ...comment, text };
    if (at < 0) comments.push(whole); else comments[at] = whole;
    keep();
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
  const focused = document.activeElement;
  const title = element("h2", { id: "comment-title", class: "wrap" }, where(comment));
  const dialog = openDialog({ "aria-labelledby": "comment-title" }, [title, quote, form], () => { clear(); focused?.focus?.(); });
  area.focus();
}

// --- lines of a diff ---

let chosen = null; // {patch, from, to}: rows

function rows(patch) { return [...patch.querySelectorAll(".pl")]; }

function clear() {
  document.querySelectorAll(".pl.chosen").forEach((row) => row.classList.remove("chosen"));
  chosen = null;
}

function choose(patch, from, to) {
  clear();
  chosen = { patch, from, to };
  between().forEach((row) => row.classList.add("chosen"));
  to.scrollIntoView({ block: "nearest" });
}

function between() {
  const all = rows(chosen.patch);
  const [a, b] = [all.indexOf(chosen.from), all.indexOf(chosen.to)].sort((x, y) => x - y);
  return all.slice(a, b + 1);
}

function comment() {
  if (!chosen) return;
  const lines = between();
  const removed = lines.every((row) => row.classList.contains("removed"));
  const numbers = lines.map((row) => Number(removed ? row.dataset.old : row.dataset.new)).filter(Boolean);
  const quote = lines.slice(0, QUOTED).map((row) => row.querySelector(".sign").textContent + row.querySelector(".src").textContent);
  if (lines.length > QUOTED) quote.push("…");
  write({
    path: chosen.patch.closest(".file").dataset.path,
    first: Math.min(...numbers), last: Math.max(...numbers),
    side: removed ? "removed" : "new", quote: quote.join("\n"),
  });
}

document.addEventListener("click", (event) => {
  const row = event.target.closest(".pl");
  if (!row || String(getSelection())) return;
  const patch = row.closest(".patch");
  if (event.shiftKey && chosen?.patch === patch) choose(patch, chosen.from, row); else choose(patch, row, row);
  if (!event.shiftKey && !event.target.closest(".no")) return;
  comment();
});

document.addEventListener("keydown", (event) => {
  const patch = event.target.closest?.(".patch");
  if (!patch || event.target !== patch || event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) {
    const all = rows(patch);
    const at = chosen?.patch === patch ? all.indexOf(chosen.to) : -1;
    const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
    choose(patch, event.shiftKey && chosen?.patch === patch ? chosen.from : next, next);
    document.getElementById("polite").textContent = `${next.dataset.new ?? next.dataset.old}: ${next.querySelector(".code").textContent}`;
    event.preventDefault();
  } else if (event.key === "Enter") {
    comment();
    event.preventDefault();
  } else if (event.key === "Escape") {
    clear();
  }
});

// --- parts of a plan ---

const PARTS = "h1, h2, h3, h4, h5, h6, p, li, pre, tr";

function partsOf(plan) {
  return [...plan.querySelectorAll(PARTS)].filter((part) => !part.querySelector(PARTS) || part.matches("li"));
}

function addPlanButtons() {
  for (const plan of document.querySelectorAll(".plan")) {
    if (plan.querySelector(":scope .comment-on")) continue;
    for (const part of partsOf(plan)) {
      const about = part.firstChild?.textContent?.trim() || part.textContent.trim();
      const button = element("button", { type: "button", class: "comment-on", "aria-label": `Comment on: ${about.slice(0, 60)}`, title: "Comment on this" }, "+");
      (part.matches("tr") ? part.lastElementChild ?? part : part).append(button);
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".comment-on");
  if (!button) return;
  const part = button.closest(PARTS);
  const copy = part.cloneNode(true);
  copy.querySelectorAll(".comment-on").forEach((b) => b.remove());
  write({ plan: button.closest(".ask")?.dataset.permission ?? "past", quote: copy.textContent.trim().slice(0, 2000) });
});

// --- what was written ---

function remove(at) {
  comments.splice(at, 1);
  keep();
}

function box(comment, at, moved) {
  const edit = element("button", { type: "button", class: "quiet" }, "Edit");
  const away = element("button", { type: "button", class: "quiet" }, "Remove");
  edit.addEventListener("click", () => write(comment, at));
  away.addEventListener("click", () => remove(at));
  const said = element("p", { class: "spoken" }, comment.text);
  const note = moved ? [element("p", { class: "soft small" }, "The line has changed since.")] : [];
  return element("div", { class: "comment" }, said, ...note, element("div", { class: "actions" }, edit, away));
}

/// Where a comment belongs now: its row, and whether that still says the same.
function anchor(comment) {
  const file = [...document.querySelectorAll(".file")].find((f) => f.dataset.path === comment.path);
  if (!file) return null;
  const key = comment.side === "removed" ? "old" : "new";
  const row = rows(file).find((r) => r.dataset[key] === String(comment.last) && (key === "new" || r.classList.contains("removed")));
  if (!row) return { place: file.querySelector(".patch"), inside: true, moved: true };
  const text = row.querySelector(".src").textContent;
  return { place: row, moved: !comment.quote.endsWith(text) && !comment.quote.endsWith("…") };
}

let shown = "";

function show() {
  const now = JSON.stringify(comments);
  const same = now === shown;
  shown = now;
  showBeside(same);
  // What has the focus, or is just being pressed, stays.
  if (!same || Boolean(document.querySelector(".review-bar")) !== comments.length > 0) showBar();
}

/// Puts the comments to their lines. A region that was fetched anew has lost them.
function showBeside(same) {
  const here = document.querySelectorAll(".comment");
  const places = comments.map((comment) => comment.path && anchor(comment));
  if (same && here.length === places.filter(Boolean).length) return;
  here.forEach((b) => b.remove());
  comments.forEach((comment, at) => {
    const found = places[at];
    if (!found) return;
    if (found.inside) found.place.prepend(box(comment, at, found.moved)); else found.place.after(box(comment, at, found.moved));
  });
}

function showBar() {
  document.querySelector(".review-bar")?.remove();
  if (!comments.length) return;
  const many = comments.length === 1 ? "1 comment" : `${comments.length} comments`;
  const send = element("button", { type: "button", class: "primary" }, "Send to Claude");
  const discard = element("button", { type: "button" }, "Discard");
  const list = element("details", {}, element("summary", {}, many));
  comments.forEach((comment, at) => {
    const one = box(comment, at, false);
    one.prepend(element("p", { class: "soft small wrap" }, where(comment)));
    one.classList.replace("comment", "in-bar");
    list.append(one);
  });
  const outcome = element("p", { role: "alert", "data-outcome": "" });
  const bar = element("section", { class: "review-bar", "aria-label": "Comments that have not been sent" },
    list, element("div", { class: "actions" }, send, discard), outcome);
  send.addEventListener("click", () => sendAll(bar));
  discard.addEventListener("click", async () => {
    if (await confirmed(`${many} will be lost. Discard them?`, "Discard")) { comments = []; keep(); }
  });
  // Above the box for prompts, if the page has one: both stay at the lower edge.
  const composer = document.getElementById("composer");
  if (composer) composer.before(bar); else document.getElementById("main").append(bar);
}

function message() {
  const about = comments.every((c) => c.plan) ? "the plan" : comments.some((c) => c.plan) ? "the plan and the changes" : "the changes";
  const parts = comments.map((comment, at) => {
    const quote = comment.quote.split("\n").map((line) => `> ${line}`).join("\n");
    return `${at + 1}. ${where(comment)}:\n${quote}\n\n${comment.text}`;
  });
  return `Comments on ${about}:\n\n${parts.join("\n\n")}`;
}

async function sendAll(bar) {
  const buttons = bar.querySelectorAll("button");
  buttons.forEach((b) => { b.disabled = true; });
  // A plan that waits is answered: nothing can be typed into its dialog.
  const card = comments.map((c) => c.plan).find((id) => id && id !== "past" && document.getElementById(`card-${id}`));
  try {
    if (card) await api("POST", `/api/permissions/${card}/respond`, { decision: "deny", message: message() });
    else await api("POST", `/api/sessions/${session}/send`, { text: message(), queue: true });
    comments = [];
    keep();
    announce(card ? "Sent: Claude goes on planning with your comments." : "Your comments are on their way to Claude.");
  } catch (problem) {
    bar.querySelector("[data-outcome]").textContent = problem.message;
    buttons.forEach((b) => { b.disabled = false; });
  }
}

addPlanButtons();
show();
document.addEventListener("chorus:updated", () => { addPlanButtons(); show(); });
