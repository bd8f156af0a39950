// Everything a page does goes through the public API, from here.
//
//   <button data-act="POST /api/…" data-body='{"json": true}' data-confirm="Sure?" data-done="It is done.">
//   <form data-act="POST /api/…">: its fields become a JSON object by their names. A field's data-type says what it
//   is: int, bool, lines (a list, one a line), commas (a list, by commas), ints (a list of numbers), json; text
//   otherwise. What is left empty is left out, unless the field has data-empty. A name with dots makes objects in objects.
//
// After success: data-go="/where" leads there ({id} is replaced by what the answer says), data-reset empties the form,
// data-close closes the dialog it is in, data-later is said instead of data-done if
// it was only accepted (202).
"use strict";

import { element as make, openDialog } from "./dialog.js";

/// A request to the API. Gives what it answered; a refusal is thrown as an Error with its detail and field.
export async function api(method, path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: {
        "X-Chorus-Client": "dashboard",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The server did not answer; whether it did something is not known. Try again when it is back.");
  }
  const text = await answer.text();
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { data = text; }
  if (answer.ok) return { data, status: answer.status };
  const problem = new Error(data?.detail || data?.title || answer.statusText);
  problem.status = answer.status;
  problem.field = data?.field ?? data?.errors?.[0]?.field;
  problem.data = data;
  throw problem;
}

/// Says something to everybody: seen for a few seconds, and read aloud.
export function announce(text, isError = false) {
  const toast = document.createElement("p");
  toast.className = isError ? "toast error" : "toast";
  toast.setAttribute("role", isError ? "alert" : "status");
  toast.textContent = text;
  const toasts = document.getElementById("toasts");
  toasts.append(toast);
  while (toasts.children.length > 4) toasts.firstChild.remove();
  setTimeout(() => toast.remove(), isError ? 12000 : 5000);
}

/// Asks before something that cannot be taken back. Resolves to whether it is wanted.
export function confirmed(question, label = "Do it") {
  return new Promise((resolve) => {
    const no = make("button", { value: "no" }, "Cancel");
    const yes = make("button", { value: "yes", class: "danger" }, label);
    openDialog({ class: "dialog small", "aria-labelledby": "confirm-question" }, [
      make("p", { id: "confirm-question" }, question),
      make("form", { method: "dialog", class: "actions end" }, no, yes),
    ], (dialog) => resolve(dialog.returnValue === "yes"));
    no.focus();
  });
}

function value(field, raw) {
  switch (field.dataset.type) {
    case "int": return Number.parseInt(raw, 10);
    case "bool": return raw === true || raw === "true" || raw === "on";
    case "lines": return raw.split("\n").map((s) => s.trim()).filter(Boolean);
    case "commas": return raw.split(",").map((s) => s.trim()).filter(Boolean);
    case "ints": return raw.split(/[\s,#]+/).filter(Boolean).map(Number);
    case "json": return JSON.parse(raw);
    default: return raw;
  }
}

/// What a form says, as JSON.
export function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    if (field.type === "radio" && !field.checked) continue;
    const raw = field.type === "checkbox" ? field.checked : field.value;
    if (field.type === "checkbox" && !field.dataset.type) field.dataset.type = "bool";
    if (raw === "" && !("empty" in field.dataset)) continue;
    const parts = field.name.split(".");
    let at = body;
    for (const part of parts.slice(0, -1)) at = at[part] ??= {};
    at[parts.at(-1)] = value(field, raw);
  }
  return body;
}

function outcomeOf(element) {
  const place = element.closest("[data-outcome-place]") ?? element.closest("form, article, section, dialog") ?? document.body;
  return place.querySelector("[data-outcome]");
}

function fail(element, problem) {
  const outcome = outcomeOf(element);
  // What it was about may have left the page meanwhile.
  if (outcome?.isConnected) outcome.textContent = problem.message;
  else announce(problem.message, true);
  const field = problem.field && element.elements?.namedItem?.(problem.field);
  if (field?.setAttribute) { field.setAttribute("aria-invalid", "true"); field.focus(); }
}

/// Whether something is under way with an element: it is not to be done twice.
export function isBusy(element) { return element.hasAttribute("aria-busy"); }

/// Says that something is under way with an element, or no more. Its buttons keep the focus meanwhile: they are not
/// `disabled`, which would take it from them.
export function setBusy(element, busy) {
  const mark = (each, name) => { if (busy) each.setAttribute(name, "true"); else each.removeAttribute(name); };
  mark(element, "aria-busy");
  (element.matches("button") ? [element] : element.querySelectorAll("button")).forEach((b) => mark(b, "aria-disabled"));
}

// What a form sent last and how that was marked, until it has succeeded: what is sent again because nobody knows whether it
// arrived is not done twice.
const unsettled = new WeakMap();

function once(form, path, body) {
  const text = `${path} ${JSON.stringify(body)}`;
  if (unsettled.get(form)?.text !== text) {
    unsettled.set(form, { text, key: `${Date.now()}-${Math.random().toString(36).slice(2)}` });
  }
  return { "Idempotency-Key": unsettled.get(form).key };
}

/// Does what an element with data-act says.
export async function act(element, submitter) {
  if (isBusy(element)) return;
  const { act: what, confirm, confirmLabel, done, later, go } = { ...element.dataset, ...submitter?.dataset };
  const [method, path] = what.split(" ");
  const isForm = element instanceof HTMLFormElement;
  let body;
  try {
    body = isForm ? bodyOf(element) : element.dataset.body && JSON.parse(element.dataset.body);
    if (submitter?.dataset.body) body = { ...body, ...JSON.parse(submitter.dataset.body) };
  } catch {
    fail(element, new Error("What was filled in cannot be read."));
    return;
  }
  if (confirm && !await confirmed(confirm, confirmLabel)) return;
  const outcome = outcomeOf(element);
  if (outcome) outcome.textContent = "";
  element.querySelectorAll?.("[aria-invalid]").forEach((f) => f.removeAttribute("aria-invalid"));
  const sent = new Map(isForm ? [...element.elements].map((field) => [field, field.value]) : []);
  setBusy(element, true);
  try {
    const bare = method === "GET" || method === "DELETE";
    const answer = await api(method, path, bare ? undefined : body ?? {}, isForm && method === "POST" ? once(element, path, body) : {});
    unsettled.delete(element);
    if (done) announce(answer.status === 202 && later ? later : done);
    if (isForm) settle(element, sent);
    if ("close" in element.dataset) element.closest("dialog")?.close();
    element.dispatchEvent(new CustomEvent("chorus:done", { bubbles: true, detail: answer }));
    if (go) location.href = go.replace("{id}", encodeURIComponent(answer.data?.id ?? ""));
  } catch (problem) {
    fail(element, problem);
    element.dispatchEvent(new CustomEvent("chorus:failed", { bubbles: true, detail: problem }));
  } finally {
    setBusy(element, false);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (button && button.type !== "submit") act(button);
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
  const copier = event.target.closest("[data-copy]");
  if (copier) copy(copier.dataset.copy);
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  act(form, event.submitter);
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce(`Copied: ${text}`);
  } catch {
    announce(`The browser does not let the page copy. It is: ${text}`, true);
  }
}

// --- half-typed text survives a reload ---
// A field with data-draft="key" is kept in this tab until its form was sent.

/// What was sent is no draft any more, and leaves a form with data-reset. What was typed since stays.
function settle(form, sent) {
  for (const [field, value] of sent) {
    if (field.dataset.draft && field.value === value) sessionStorage.removeItem(`draft-${field.dataset.draft}`);
  }
  if (!("reset" in form.dataset)) return;
  const since = [...sent].filter(([field, value]) => field.value !== value)
    .map(([field, value]) => [field, field.value.startsWith(value) ? field.value.slice(value.length) : field.value]);
  form.reset();
  for (const [field, value] of since) field.value = value;
  form.dispatchEvent(new Event("input", { bubbles: true }));
}

function drafts(root) {
  for (const field of root.querySelectorAll("[data-draft]")) {
    if (field.dataset.restored) continue;
    field.dataset.restored = "yes";
    const kept = sessionStorage.getItem(`draft-${field.dataset.draft}`);
    if (kept && !field.value) field.value = kept;
  }
}

document.addEventListener("input", (event) => {
  const fields = event.target instanceof HTMLFormElement ? event.target.querySelectorAll("[data-draft]") : [event.target];
  for (const field of fields) {
    if (!field.dataset?.draft) continue;
    const key = `draft-${field.dataset.draft}`;
    if (field.value) sessionStorage.setItem(key, field.value); else sessionStorage.removeItem(key);
  }
});

drafts(document);
document.addEventListener("chorus:updated", () => drafts(document));
