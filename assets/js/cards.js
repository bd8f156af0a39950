// Permission requests: deciding them by button, by key, several at once, and by rules that are made from them.
"use strict";

import { announce, api, bodyOf, isBusy, setBusy } from "./actions.js";
import { element, openDialog } from "./dialog.js";
import { current, register, twice } from "./keys.js";

/// A card that has just come, or has just moved, takes no key and no click: a person meant another one. Milliseconds.
const SETTLED = 500;

function outcome(card, text) {
  // It may have been decided elsewhere meanwhile.
  if (card.isConnected) card.querySelector("[data-outcome]").textContent = text;
  else if (text) announce(text, true);
}

/// Decides a request. Resolves to whether it was decided.
async function decide(card, body) {
  if (isBusy(card)) return false;
  const focused = card.contains(document.activeElement);
  const cards = [...document.querySelectorAll(".ask:not(.decided)")];
  const rest = [...cards.slice(cards.indexOf(card) + 1), ...cards.slice(0, cards.indexOf(card))];
  setBusy(card, true);
  outcome(card, "");
  try {
    await api("POST", `/api/permissions/${card.dataset.permission}/respond`, body);
    announce(body.decision === "allow" ? "Approved." : "Denied.");
    card.classList.add("decided");
    if (focused) focusNext(card, rest);
    return true;
  } catch (problem) {
    outcome(card, problem.message);
    return false;
  } finally {
    setBusy(card, false);
  }
}

// Whoever works through the cards by keyboard goes on with the next one.
function focusNext(card, rest) {
  if (document.activeElement !== document.body && !card.contains(document.activeElement)) return;
  const next = rest.find((c) => c.isConnected && !c.classList.contains("decided"));
  if (next) { next.tabIndex = -1; next.focus(); } else document.getElementById("main").focus();
}

/// What a card's question form says, by question; null if one has no answer.
function answers(card) {
  const said = {};
  for (const field of card.querySelectorAll("fieldset[data-question]")) {
    const chosen = [...field.querySelectorAll("input:checked")].map((i) => i.value);
    const other = field.querySelector("input[type=text]").value.trim();
    if (other) chosen.push(other);
    if (!chosen.length) { field.querySelector("input").focus(); return null; }
    said[field.dataset.question] = field.querySelector("input[type=checkbox]") ? chosen : chosen.at(-1);
  }
  return said;
}

function choose(card, how) {
  const message = card.querySelector(".deny-message").value.trim();
  switch (how) {
    case "allow": return decide(card, { decision: "allow" });
    case "session": return decide(card, { decision: "allow", for_session: true });
    case "deny": return decide(card, message ? { decision: "deny", message } : { decision: "deny" });
    case "answer": {
      const said = answers(card);
      if (!said) { outcome(card, "Every question needs an answer."); return Promise.resolve(false); }
      return decide(card, { decision: "allow", answers: said });
    }
    case "rule": return propose(card);
    default: throw new Error(how);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-decide]");
  if (!button) return;
  const card = button.closest(".ask");
  // By the keyboard it is the button that has the focus, wherever it has gone.
  if (event.detail > 0 && !settled(card)) announce("It has just come or moved: press again.");
  else choose(card, button.dataset.decide);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !event.target.matches?.(".deny-message")) return;
  if (event.target.value.trim()) choose(event.target.closest(".ask"), "deny");
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest(".questions");
  if (!form) return;
  event.preventDefault();
  choose(form.closest(".ask"), "answer");
});

// --- rules ---

async function propose(card) {
  let proposals;
  try {
    proposals = (await api("GET", `/api/permissions/${card.dataset.permission}/rules`)).data;
  } catch (problem) { outcome(card, problem.message); return false; }
  const said = element("p", { role: "alert" });
  const no = element("button", { type: "button" }, "Cancel");
  const form = element("form", { method: "dialog" },
    ...proposals.map(({ words }, i) => {
      const radio = element("input", { type: "radio", name: "rule", value: String(i), ...(i === 0 ? { checked: "" } : {}) });
      return element("div", {}, element("label", { class: "check wrap" }, radio, words));
    }),
    said, element("div", { class: "actions end" }, no, element("button", { class: "primary" }, "Make the rule")));
  const dialog = openDialog({ "aria-labelledby": "rule-title" }, [element("h2", { id: "rule-title" }, "From now on"), form]);
  no.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isBusy(form)) return;
    setBusy(form, true);
    try {
      const { data } = await api("POST", "/api/permissions/rules", proposals[Number(bodyOf(form).rule)].rule);
      announce(`The rule is made; it has decided ${data.decided.length} ${data.decided.length === 1 ? "request" : "requests"}.`);
      dialog.close();
    } catch (problem) { said.textContent = problem.message; }
    setBusy(form, false);
  });
  return true;
}

// --- several at once ---

function chosen() { return [...document.querySelectorAll(".ask .pick input:checked")].map((i) => i.value); }

function showChosen() {
  const bar = document.getElementById("chosen");
  if (!bar) return;
  const count = chosen().length;
  bar.hidden = count === 0;
  bar.querySelector("[data-count]").textContent = count === 1 ? "1 request chosen" : `${count} requests chosen`;
}

document.addEventListener("change", (event) => { if (event.target.matches(".pick input")) showChosen(); });
document.addEventListener("chorus:updated", showChosen);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-decide-chosen]");
  if (!button || isBusy(button)) return;
  setBusy(button, true);
  try {
    const { data } = await api("POST", "/api/permissions/respond", { ids: chosen(), decision: button.dataset.decideChosen });
    const why = data.results.find((r) => r.problem)?.problem.detail;
    announce(data.failed ? `${data.decided} decided, ${data.failed} not: ${why}` : `${data.decided} decided.`, data.failed > 0);
  } catch (problem) { announce(problem.message, true); }
  setBusy(button, false);
});

// --- mis-hits ---

const places = new WeakMap();
/// What is there from the beginning has not moved under anybody's hand.
let began = false;

/// Notes which cards have just come, and which have moved, both on the page and before one's eyes: what only scrolls has not
/// moved, nor has what is kept in its place while something grows above it.
function note() {
  for (const card of document.querySelectorAll(".ask")) {
    const { top } = card.getBoundingClientRect();
    const place = { onPage: top + scrollY, seen: top };
    const known = places.get(card);
    const moved = !known || (Math.abs(known.onPage - place.onPage) > 8 && Math.abs(known.seen - place.seen) > 8);
    const at = began ? performance.now() : -Infinity;
    places.set(card, { ...place, at: moved ? at : known.at });
    if (moved && began) hold(card);
  }
}

/// Whether a card has been where it is for so long that it is the one somebody means.
function settled(card) { return performance.now() - (places.get(card)?.at ?? performance.now()) >= SETTLED; }

// Its buttons say so meanwhile.
function hold(card) {
  const buttons = [...card.querySelectorAll("[data-decide]")];
  buttons.forEach((b) => b.setAttribute("aria-disabled", "true"));
  setTimeout(() => {
    if (settled(card) && !isBusy(card)) buttons.forEach((b) => b.removeAttribute("aria-disabled"));
  }, SETTLED + 10);
}

note();
began = true;
document.addEventListener("chorus:updated", note);
new ResizeObserver(note).observe(document.getElementById("main"));

// --- keys ---

// The first press arms, the second decides: no key that was meant for something else approves anything.
function byKey(how) {
  return () => {
    const card = current()?.closest(".ask:not(.decided)");
    if (!card) return false;
    const button = card.querySelector(`[data-decide="${how}"]`) ?? (how === "allow" ? card.querySelector('[data-decide="answer"]') : null);
    if (button && !isBusy(card) && settled(card)) twice(button, button.textContent.trim(), () => choose(card, button.dataset.decide));
    return true;
  };
}

register(
  { key: "a", group: "Requests", what: "Approve the request that has the focus; press twice", run: byKey("allow") },
  { key: "d", group: "Requests", what: "Deny it; press twice", run: byKey("deny") },
  { key: "s", group: "Requests", what: "Allow it for the session; press twice", run: byKey("session") },
  { key: "m", group: "Requests", what: "Deny it with a message", run: () => {
    const field = current()?.querySelector(".deny-message");
    field?.focus();
    return Boolean(field);
  } },
  { key: "x", group: "Requests", what: "Choose it, to decide several at once", run: () => {
    const box = current()?.querySelector(".pick input");
    box?.click();
    return Boolean(box);
  } },
);
