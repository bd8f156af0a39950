// Permission requests: deciding them by button, by key, several at once, and by rules that are made from them.
"use strict";

import { announce, api, bodyOf } from "./actions.js";
import { current, register } from "./keys.js";

/// A card that has just come, or has just moved, takes no key: a person meant another one. Milliseconds.
const SETTLED = 500;
/// How long a first press waits for its second one. Milliseconds.
const ARMED = 3000;

function outcome(card, text) { card.querySelector("[data-outcome]").textContent = text; }

/// Decides a request. Resolves to whether it was decided.
async function decide(card, body) {
  const buttons = card.querySelectorAll("button");
  buttons.forEach((b) => { b.disabled = true; });
  card.setAttribute("aria-busy", "true");
  outcome(card, "");
  try {
    await api("POST", `/api/permissions/${card.dataset.permission}/respond`, body);
    announce(body.decision === "allow" ? "Approved." : "Denied.");
    card.classList.add("decided");
    focusNext(card);
    return true;
  } catch (problem) {
    outcome(card, problem.message);
    buttons.forEach((b) => { b.disabled = false; });
    return false;
  } finally {
    card.removeAttribute("aria-busy");
  }
}

// Whoever works through the cards by keyboard goes on with the next one.
function focusNext(card) {
  if (!card.contains(document.activeElement)) return;
  const cards = [...document.querySelectorAll(".ask:not(.decided)")];
  const next = cards.find((c) => card.compareDocumentPosition(c) & Node.DOCUMENT_POSITION_FOLLOWING) ?? cards[0];
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
  if (button) choose(button.closest(".ask"), button.dataset.decide);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.(".deny-message")) return;
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
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.setAttribute("aria-labelledby", "rule-title");
  const title = document.createElement("h2");
  title.id = "rule-title";
  title.textContent = "From now on";
  const form = document.createElement("form");
  form.method = "dialog";
  proposals.forEach(({ words }, i) => {
    const label = document.createElement("label");
    label.className = "check wrap";
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "rule", value: String(i), checked: i === 0 });
    label.append(radio, words);
    const line = document.createElement("div");
    line.append(label);
    form.append(line);
  });
  const said = document.createElement("p");
  said.setAttribute("role", "alert");
  const actions = document.createElement("div");
  actions.className = "actions end";
  const no = document.createElement("button");
  no.textContent = "Cancel"; no.value = "no"; no.type = "button";
  const yes = document.createElement("button");
  yes.textContent = "Make the rule"; yes.className = "primary";
  actions.append(no, yes);
  form.append(said, actions);
  no.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const { data } = await api("POST", "/api/permissions/rules", proposals[Number(bodyOf(form).rule)].rule);
      announce(`The rule is made; it has decided ${data.decided.length} ${data.decided.length === 1 ? "request" : "requests"}.`);
      dialog.close();
    } catch (problem) { said.textContent = problem.message; }
  });
  dialog.append(title, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
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
  if (!button) return;
  button.disabled = true;
  try {
    const { data } = await api("POST", "/api/permissions/respond", { ids: chosen(), decision: button.dataset.decideChosen });
    const why = data.results.find((r) => r.problem)?.problem.detail;
    announce(data.failed ? `${data.decided} decided, ${data.failed} not: ${why}` : `${data.decided} decided.`, data.failed > 0);
  } catch (problem) { announce(problem.message, true); }
  button.disabled = false;
});

// --- keys ---

const seen = new WeakMap();

function note() {
  for (const card of document.querySelectorAll(".ask")) {
    const top = card.getBoundingClientRect().top + scrollY;
    const known = seen.get(card);
    if (!known || Math.abs(known.top - top) > 8) seen.set(card, { top, at: performance.now() });
  }
}
note();
document.addEventListener("chorus:updated", note);

// The first press arms, the second decides: no key that was meant for something else approves anything.
function byKey(how) {
  return () => {
    const card = current()?.closest(".ask:not(.decided)");
    if (!card) return false;
    const button = card.querySelector(`[data-decide="${how}"]`) ?? (how === "allow" ? card.querySelector('[data-decide="answer"]') : null);
    if (!button || button.disabled || performance.now() - (seen.get(card)?.at ?? 0) < SETTLED) return true;
    if (button.classList.contains("armed")) {
      button.classList.remove("armed");
      choose(card, button.dataset.decide);
    } else {
      document.querySelectorAll(".armed").forEach((b) => b.classList.remove("armed"));
      button.classList.add("armed");
      document.getElementById("polite").textContent = `Press again: ${button.textContent.trim()}`;
      setTimeout(() => button.classList.remove("armed"), ARMED);
    }
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
