// Writing a document in place. What a person has written is never lost: not by a reload, and not by what others write.
"use strict";

import { announce, api, confirmed } from "./actions.js";
import { onEvent } from "./live.js";

const place = document.getElementById("document");
const id = place.dataset.document;
const form = document.getElementById("editor");
const text = document.getElementById("editor-text");
const theirs = document.getElementById("theirs");
const theirsText = document.getElementById("theirs-text");
const conflict = document.getElementById("conflict");
const take = document.getElementById("take-theirs");
const KEPT = `document-${id}`;

/// What was read, as `asRead` gives it: what is saved replaces that and nothing else.
let base = null;

function outcome(said) { form.querySelector("[data-outcome]").textContent = said; }
function show(editing) {
  form.hidden = !editing;
  place.querySelector(".document").hidden = editing;
  document.getElementById("selection").hidden = true;
}
function kept() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; }
}
function keep() {
  try {
    if (base && text.value !== base.content) sessionStorage.setItem(KEPT, JSON.stringify({ text: text.value, base: base.etag }));
    else sessionStorage.removeItem(KEPT);
  } catch { /* There is no room for it: it lives as long as the page. */ }
}

/// A document as the box holds it: a textarea knows no line end but `\n`. `end` is what the file has; null if it has
/// several kinds, which nothing that was in the box could be given back.
function asRead({ content, etag }) {
  const rest = content.replaceAll("\r\n", "");
  const windows = rest.length < content.length;
  const end = rest.includes("\r") || (windows && rest.includes("\n")) ? null : windows ? "\r\n" : "\n";
  return { content: content.replace(/\r\n?/g, "\n"), etag, end };
}

const MIXED = "Its lines end in several ways, which would be lost here. Open it in $EDITOR, or give them all the same end.";

async function read() { return asRead((await api("GET", `/api/documents/${id}`)).data); }

/// Begins, or goes on where a reload has ended it.
export async function edit() {
  if (!form.hidden) { text.focus(); return; }
  try { base = await read(); } catch (problem) { announce(problem.message, true); return; }
  const before = kept();
  if (!base.end && !before) { base = null; announce(MIXED, true); return; }
  text.value = before?.text ?? base.content;
  clearConflict();
  outcome("");
  show(true);
  if (before && before.base !== base.etag) collide(base);
  text.focus();
  if (!before) text.setSelectionRange(0, 0);
}

function leave() {
  sessionStorage.removeItem(KEPT);
  base = null;
  clearConflict();
  show(false);
  document.getElementById("do-edit").focus();
}

function clearConflict() {
  conflict.hidden = theirs.hidden = take.hidden = true;
  form.classList.remove("both");
}

/// The first and the last line in which two texts differ, in either.
function differ(a, b) {
  const [x, y] = [a.split("\n"), b.split("\n")];
  let start = 0;
  while (start < x.length && start < y.length && x[start] === y[start]) start++;
  let end = 0;
  while (end < x.length - start && end < y.length - start && x[x.length - 1 - end] === y[y.length - 1 - end]) end++;
  return { start, mine: x.length - end, theirs: y.length - end };
}

/// Somebody else has written: both texts are shown, and a person decides.
function collide(now) {
  base = now;
  theirsText.value = now.content;
  const { start, mine, theirs: other } = differ(text.value, now.content);
  conflict.textContent = start === mine && start === other
    ? "Somebody else has written the same."
    : `The file was changed by somebody else since you began. Both texts are here; yours differs from line ${start + 1} on, to line ${Math.max(mine, start + 1)}. Take over what you need, then save: yours replaces the file's.`;
  conflict.hidden = theirs.hidden = take.hidden = false;
  form.classList.add("both");
  keep();
}

async function save() {
  // A key reaches this while its button is off.
  if (form.getAttribute("aria-busy")) return;
  outcome("");
  if (!base.end) { outcome(MIXED); return; }
  form.setAttribute("aria-busy", "true");
  text.readOnly = true;
  try {
    await api("PUT", `/api/documents/${id}`, { content: text.value.replaceAll("\n", base.end) }, { "If-Match": `"${base.etag}"` });
    announce("The document is saved.");
    leave();
  } catch (problem) {
    if ((problem.status === 409 || problem.status === 412) && problem.data?.document) collide(asRead(problem.data.document));
    else outcome(problem.message);
  } finally {
    form.removeAttribute("aria-busy");
    text.readOnly = false;
  }
}

form.addEventListener("submit", (event) => { event.preventDefault(); save(); });
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); save(); }
});
text.addEventListener("input", keep);
document.getElementById("leave-editor").addEventListener("click", async () => {
  const differs = base && text.value !== base.content;
  if (!differs || await confirmed("What you wrote here is not saved. Throw it away?", "Throw away")) leave();
});
take.addEventListener("click", () => { text.value = base.content; clearConflict(); keep(); text.focus(); });
addEventListener("beforeunload", (event) => {
  if (!form.hidden && base && text.value !== base.content && !kept()) event.preventDefault();
});

// Who edits hears at once that somebody else has written.
onEvent(async ({ kind, data }) => {
  if (kind !== "document_change" || String(data.document_id) !== id || form.hidden || !base) return;
  let now;
  try { now = await read(); } catch { return; }
  if (form.hidden || !base || now.etag === base.etag || now.content === text.value) { if (base) base = now ?? base; return; }
  if (text.value === base.content) { base = now; text.value = now.content; return; }
  collide(now);
});

if (kept()) edit();
