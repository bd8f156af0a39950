// The palette: go anywhere by a few letters.
"use strict";

import { api, announce } from "./actions.js";
import { element, openDialog } from "./dialog.js";
import { help } from "./keys.js";
import { toggle, toggleSound } from "./notices.js";

const PAGES = [
  ["Now", "/"], ["All sessions", "/sessions"], ["Tasks", "/tasks"], ["Task board", "/tasks?view=board"], ["Documents", "/documents"], ["Activity", "/activity"],
  ["Settings: health", "/settings/health"], ["Settings: configuration", "/settings/configuration"],
  ["Settings: hooks", "/settings/hooks"], ["Settings: rules", "/settings/rules"], ["Settings: projects", "/settings/projects"],
  ["Settings: this browser", "/settings/browser"],
];

/// Before the server is asked for what the letters mean. Milliseconds.
const PAUSE = 150;

let dialog = null;

const asSession = (s) => ({ kind: "session", name: s.name, more: s.status === "completed" ? "ended" : s.claude_status, href: `/sessions/${s.id}` });
const asTask = (t) => ({ kind: "task", name: `${t.id} ${t.title}`, more: t.status, href: `/tasks/${t.id}` });
const asDocument = (d) => ({ kind: "document", name: d.path, href: `/documents/${d.id}` });

/// Lists of the API, empty where one did not answer.
async function lists(...paths) {
  const answers = await Promise.allSettled(paths.map((path) => api("GET", path)));
  return answers.map((answer) => (answer.status === "fulfilled" ? answer.value.data : []));
}

async function gather() {
  const [sessions, tasks, documents] =
    await lists("/api/sessions?limit=100", "/api/tasks?limit=100", "/api/documents?limit=200");
  return [
    ...PAGES.map(([name, href]) => ({ kind: "page", name, href })),
    ...sessions.map(asSession),
    ...tasks.map(asTask),
    ...documents.map(asDocument),
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

// What the server finds beyond the lists that were gathered.
async function find(letters) {
  const q = encodeURIComponent(letters);
  const [sessions, tasks, documents] =
    await lists(`/api/sessions?limit=20&all=true&q=${q}`, `/api/tasks?limit=20&q=${q}`, `/api/documents?limit=20&q=${q}`);
  return [...sessions.map(asSession), ...tasks.map(asTask), ...documents.map(asDocument)];
}

function open() {
  if (dialog?.open) return;
  const field = element("input", {
    type: "text", placeholder: "Session, task, document or page", autocomplete: "off", spellcheck: "false",
    role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-label": "Go to",
  });
  const list = element("ul", { id: "palette-list", role: "listbox", "aria-label": "Places" });
  dialog = openDialog({ class: "dialog palette", "aria-label": "Go to" }, [field, list]);
  let all = PAGES.map(([name, href]) => ({ kind: "page", name, href }));
  let shown = [];
  let at = 0;
  const gathered = gather().then((items) => { all = items; draw(); });

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
      const row = element("li", { id: `palette-${i}`, role: "option", "aria-selected": String(i === at) },
        element("span", { class: "name" }, item.name),
        element("span", { class: "soft" }, [item.kind, item.more].filter(Boolean).join(" · ")));
      row.addEventListener("click", () => choose(item));
      return row;
    }));
    field.setAttribute("aria-activedescendant", shown.length ? `palette-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }
  let timer = 0;
  async function ask() {
    const letters = field.value.trim();
    const found = await find(letters);
    await gathered;
    if (letters !== field.value.trim()) return;
    const known = new Set(all.map((item) => item.href));
    all = [...all, ...found.filter((item) => !known.has(item.href))];
    draw();
  }
  field.addEventListener("input", () => {
    at = 0;
    draw();
    clearTimeout(timer);
    if (field.value.trim()) timer = setTimeout(ask, PAUSE);
  });
  field.addEventListener("keydown", async (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") at = Math.max(0, Math.min(shown.length - 1, at + 1));
    else if (event.key === "ArrowUp") at = Math.max(0, at - 1);
    else if (event.key === "Enter") {
      event.preventDefault();
      // What is typed at once and sent off means what is about to appear.
      await gathered;
      if (!shown.length) await ask();
      if (dialog.open && shown[at]) choose(shown[at]);
      return;
    } else return;
    event.preventDefault();
    draw();
  });
  draw();
}

document.addEventListener("chorus:palette", open);
document.getElementById("open-palette").addEventListener("click", open);
