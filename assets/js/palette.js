// The palette: go anywhere by a few letters.
"use strict";

import { api, announce } from "./actions.js";
import { help } from "./keys.js";
import { toggle, toggleSound } from "./notices.js";

const PAGES = [
  ["Now", "/"], ["Tasks", "/tasks"], ["Task board", "/tasks?view=board"], ["Documents", "/documents"], ["Activity", "/activity"],
  ["Settings: health", "/settings/health"], ["Settings: configuration", "/settings/configuration"],
  ["Settings: hooks", "/settings/hooks"], ["Settings: rules", "/settings/rules"], ["Settings: projects", "/settings/projects"],
  ["Settings: this browser", "/settings/browser"],
];

let dialog = null;

async function gather() {
  const lists = await Promise.allSettled([
    api("GET", "/api/sessions?limit=100"), api("GET", "/api/tasks?limit=100"), api("GET", "/api/documents?limit=200"),
  ]);
  const [sessions, tasks, documents] = lists.map((l) => (l.status === "fulfilled" ? l.value.data : []));
  return [
    ...PAGES.map(([name, href]) => ({ kind: "page", name, href })),
    ...sessions.map((s) => ({ kind: "session", name: s.name, more: s.claude_status, href: `/sessions/${s.id}` })),
    ...tasks.map((t) => ({ kind: "task", name: `${t.id} ${t.title}`, more: t.status, href: `/tasks/${t.id}` })),
    ...documents.map((d) => ({ kind: "document", name: d.path, href: `/documents/${d.id}` })),
    { kind: "action", name: "New session", href: "/?new=session" },
    { kind: "action", name: "New task", href: "/tasks?new=task" },
    { kind: "action", name: "Notices in this browser on or off", run: async () => announce(await toggle() ? "Notices are on." : "Notices are off.") },
    { kind: "action", name: "Sound on or off", run: () => announce(toggleSound() ? "The sound is on." : "The sound is off.") },
    { kind: "action", name: "Keys", run: help },
  ];
}

// How well letters fit: all have to be there in their order; together and early is better.
function score(letters, text) {
  if (!letters) return 1;
  const at = text.indexOf(letters);
  if (at >= 0) return 1000 - at - text.length / 100;
  let from = 0, gaps = 0;
  for (const letter of letters) {
    const next = text.indexOf(letter, from);
    if (next < 0) return 0;
    gaps += next - from;
    from = next + 1;
  }
  return 500 - gaps;
}

async function open() {
  if (dialog?.open) return;
  dialog = document.createElement("dialog");
  dialog.className = "dialog palette";
  dialog.setAttribute("aria-label", "Go to");
  const field = document.createElement("input");
  Object.assign(field, { type: "text", placeholder: "Session, task, document or page", autocomplete: "off", spellcheck: false });
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-expanded", "true");
  field.setAttribute("aria-controls", "palette-list");
  field.setAttribute("aria-label", "Go to");
  const list = document.createElement("ul");
  list.id = "palette-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Places");
  dialog.append(field, list);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  let all = PAGES.map(([name, href]) => ({ kind: "page", name, href }));
  let shown = [];
  let at = 0;

  function choose(item) {
    dialog.close();
    if (item.run) item.run(); else location.href = item.href;
  }
  function draw() {
    const letters = field.value.trim().toLowerCase();
    shown = all.map((item) => ({ item, score: score(letters, item.name.toLowerCase()) }))
      .filter((s) => s.score > 0).sort((a, b) => b.score - a.score).slice(0, 12).map((s) => s.item);
    at = Math.min(at, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((item, i) => {
      const row = document.createElement("li");
      row.id = `palette-${i}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(i === at));
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = item.name;
      const more = document.createElement("span");
      more.className = "soft";
      more.textContent = [item.kind, item.more].filter(Boolean).join(" · ");
      row.append(name, more);
      row.addEventListener("click", () => choose(item));
      return row;
    }));
    field.setAttribute("aria-activedescendant", shown.length ? `palette-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }
  field.addEventListener("input", () => { at = 0; draw(); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") at = Math.min(shown.length - 1, at + 1);
    else if (event.key === "ArrowUp") at = Math.max(0, at - 1);
    else if (event.key === "Enter" && shown[at]) { event.preventDefault(); choose(shown[at]); return; } else return;
    event.preventDefault();
    draw();
  });
  draw();
  all = await gather();
  draw();
}

document.addEventListener("chorus:palette", open);
document.getElementById("open-palette").addEventListener("click", open);
