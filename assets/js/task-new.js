// The dialog for a new task: of a template, if there are any.
"use strict";

import { api } from "./actions.js";

export const dialog = document.getElementById("new-task");
const select = document.getElementById("new-template");
const { title, description } = dialog.querySelector("form").elements;
let templates = null;

/// Opens it.
export function openNew() {
  if (!dialog.open) dialog.showModal();
  offer();
}

async function offer() {
  if (templates) return;
  try { templates = (await api("GET", "/api/templates?limit=200")).data; } catch { return; }
  select.append(...templates.map((t) => new Option(t.name, t.id)));
  document.getElementById("template-field").hidden = templates.length === 0;
}

function choose() {
  const template = templates?.find((t) => t.id === select.value);
  title.required = !template;
  title.placeholder = template?.title ?? "";
  description.placeholder = template?.description || "In Markdown, as you would tell a colleague";
  document.getElementById("template-variables").replaceChildren(...(template?.variables ?? []).map((name) => {
    const field = document.createElement("div");
    field.className = "field";
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "text", name: `variables.${name}`, id: `variable-${name}`, required: true, autocomplete: "off" });
    label.htmlFor = input.id;
    label.textContent = name;
    field.append(label, input);
    return field;
  }));
}

select.addEventListener("change", choose);
dialog.querySelector("form").addEventListener("input", (event) => { if (!select.value && event.target.tagName === "FORM") choose(); });
document.addEventListener("click", (event) => { if (event.target.closest('[data-opens="new-task"]')) offer(); });

// /tasks?new=task opens it; once it is closed the address is the page's again.
if (new URLSearchParams(location.search).get("new") === "task") openNew();
dialog.addEventListener("close", () => {
  const url = new URL(location.href);
  url.searchParams.delete("new");
  history.replaceState(null, "", url);
});
