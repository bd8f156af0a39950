// Keeps the page in step with the event stream, and sends decisions.
"use strict";

const main = document.getElementById("now");
const link = document.getElementById("link");

// --- ages ---

function age(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

function showAges() {
  for (const time of main.querySelectorAll("time")) {
    const text = age(Date.now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = new Date(time.dateTime).toLocaleString();
  }
}

// --- updates: what did not change stays as it is, with focus, selection and half-typed text ---

const served = new Map();

function remember(root) {
  for (const part of root.querySelectorAll("[data-key]")) served.set(part.dataset.key, part.outerHTML);
}

function update(html) {
  const fresh = new DOMParser().parseFromString(`<main>${html}</main>`, "text/html").querySelector("main");
  const sections = [...main.querySelectorAll("section")];
  for (const [i, section] of [...fresh.querySelectorAll("section")].entries()) {
    const old = sections[i];
    const title = old.querySelector("h2");
    const heading = section.querySelector("h2").innerHTML;
    if (title.innerHTML !== heading) title.innerHTML = heading;
    const parts = [...section.querySelectorAll("[data-key]")];
    const keys = new Set(parts.map((p) => p.dataset.key));
    for (const part of old.querySelectorAll("[data-key]")) {
      if (!keys.has(part.dataset.key)) { served.delete(part.dataset.key); part.remove(); }
    }
    let place = title;
    for (const part of parts) {
      const key = part.dataset.key;
      let here = [...old.querySelectorAll("[data-key]")].find((p) => p.dataset.key === key);
      if (!here || served.get(key) !== part.outerHTML) {
        served.set(key, part.outerHTML);
        if (here) { const typing = here.contains(document.activeElement); if (!typing) { here.replaceWith(part); here = part; } }
        else { place.after(part); here = part; }
      }
      if (place.nextElementSibling !== here) place.after(here);
      place = here;
    }
  }
  showAges();
  const waiting = main.querySelectorAll(".card").length;
  document.title = waiting ? `(${waiting}) Chorus` : "Chorus";
}

let fetching = false;
let again = false;

// The first change is fetched at once; changes during a fetch share the next one.
async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    do {
      again = false;
      const answer = await fetch("/partials/now");
      if (answer.ok) update(await answer.text());
      if (again) await new Promise((done) => setTimeout(done, 80));
    } while (again);
  } catch {
    // The stream's error handler says that the server is away.
  } finally {
    fetching = false;
  }
}

// --- the stream ---

function say(text, ok) { link.textContent = text; link.className = ok ? "ok" : "away"; }

let events;

// With notices, the stream says that this page shows them: the server leaves the desktop alone then.
function listen(notices) {
  events?.close();
  events = new EventSource(notices ? "/api/events?notices=true" : "/api/events");
  events.onopen = () => { say(notices ? "live, with notices" : "live", true); refresh(); };
  events.onerror = () => say("the server is away; trying again…", false);
  for (const kind of ["session_status", "claude_status", "permission_request", "permission_resolved", "usage",
    "task_status", "task_update", "document_change", "reset"]) {
    events.addEventListener(kind, refresh);
  }
  events.addEventListener("notice", (event) => {
    try { show(JSON.parse(event.data)); } catch { giveUp(); }
  });
}

// A browser that does not show notices must not keep the desktop from it.
function giveUp() {
  localStorage.removeItem(WANTED);
  showToggle();
  listen(false);
}

// --- notices: only after somebody has asked for them here ---

const toggle = document.getElementById("notices");
const WANTED = "chorus-notices";

function wanted() {
  return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(WANTED) === "yes";
}

function show(notice) {
  const where = [notice.project, notice.attach].filter(Boolean).join(" · ");
  // The same tag in every tab: a browser shows it once.
  const shown = new Notification(notice.title, {
    body: [notice.body, where].filter(Boolean).join("\n"),
    tag: `chorus-${notice.session_id}-${notice.event_id}`,
    requireInteraction: notice.kind === "permission" || notice.kind === "error",
  });
  shown.onerror = giveUp;
  shown.onclick = () => {
    window.focus();
    if (notice.session_id) location.hash = `session-${notice.session_id}`;
    shown.close();
  };
}

function showToggle() {
  if (!("Notification" in window)) return;
  toggle.hidden = false;
  toggle.textContent = wanted() ? "Stop notices" : "Show notices";
  toggle.disabled = Notification.permission === "denied";
  toggle.title = toggle.disabled ? "The browser blocks notices of this page; its settings allow them again." : "";
}

toggle.addEventListener("click", async () => {
  if (wanted()) localStorage.removeItem(WANTED);
  else if (await Notification.requestPermission() === "granted") localStorage.setItem(WANTED, "yes");
  showToggle();
  listen(wanted());
});

showToggle();
listen(wanted());

// --- decisions ---

async function decide(card, body) {
  const outcome = card.querySelector(".outcome");
  const buttons = card.querySelectorAll("button");
  buttons.forEach((b) => { b.disabled = true; });
  try {
    const answer = await fetch(`/api/permissions/${card.dataset.permission}/respond`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Chorus-Client": "dashboard" },
      body: JSON.stringify(body),
    });
    if (answer.ok) { card.classList.add("decided"); return; }
    const problem = await answer.json();
    outcome.textContent = problem.detail || answer.statusText;
  } catch {
    outcome.textContent = "The server did not answer; nothing was decided. Try again.";
  }
  buttons.forEach((b) => { b.disabled = false; });
}

main.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-decision]");
  if (!button) return;
  const card = button.closest(".card");
  const body = { decision: button.dataset.decision };
  const message = card.querySelector("input").value.trim();
  if (body.decision === "deny" && message) body.message = message;
  if (button.dataset.forSession) body.for_session = true;
  decide(card, body);
});

main.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
  const message = event.target.value.trim();
  if (message) decide(event.target.closest(".card"), { decision: "deny", message });
});

remember(main);
showAges();
setInterval(showAges, 1000);
