// Keeps the page in step with what happens.
//
// A region is an element with an id and
//   data-live="kind kind…"   the events that change it
//   data-src="/url?part=x"   where it comes from, anew
//   data-of="id"             only events that name this session, task, document or project (optional)
//   data-at-once             every change is fetched as soon as the one before it is there (optional)
//   data-gap="1000"          at least so many milliseconds between two fetches, for what costs much (optional)
// The first change is fetched at once; those that follow share the next fetch.
//
// A list of many rows may say instead which rows change, so that only these are fetched:
//   data-rows="kind kind…" data-rows-src="/url?part=rows" data-rows-key="session_id" data-rows-prefix="session-"
// The rows are the elements whose id is the prefix and the event's key; they come as `&ids=a,b`. An event of the kinds in
// data-rows-new about a row that is not there fetches the whole list.
"use strict";

import { refreshAges } from "./time.js";

/// At least this long between two fetches of one region, in a page that is seen or hidden. Milliseconds.
const GAP = 250;
const HIDDEN_GAP = 2000;
/// At most this long after one that has failed, and after one of a region that waits for nothing. Milliseconds.
const FAILED_GAP = 30_000;
const FAILED_AT_ONCE_GAP = 2000;
/// How long a stream that the server has refused is left alone. Milliseconds.
const RETRY = 2000;

const listeners = new Set();
const stateListeners = new Set();
let wantsNotices = () => false;
let port = null;
let source = null;
let retry = 0;
let state = "connecting";

/// Calls `run(event)` for each event: `{id, kind, data}`, data parsed.
export function onEvent(run) { listeners.add(run); }
/// Calls `run("live" | "away")` when the stream opens or breaks.
export function onState(run) { stateListeners.add(run); if (state !== "connecting") run(state); }

// --- regions ---

const runs = new WeakMap();

function runOf(element) {
  let run = runs.get(element);
  if (!run) { run = { busy: false, dirty: false, rows: new Set(), timer: 0, at: -Infinity, failures: 0 }; runs.set(element, run); }
  return run;
}

function gap(region, { failures }) {
  const atOnce = "atOnce" in region.dataset;
  if (failures) return Math.min(atOnce ? FAILED_AT_ONCE_GAP : FAILED_GAP, 500 * 2 ** failures);
  if (atOnce) return 0;
  return Math.max(document.hidden ? HIDDEN_GAP : 0, Number(region.dataset.gap ?? GAP));
}

/// Fetches a region anew, at once or when its last fetch is long enough ago.
export function refresh(region) {
  const run = runOf(region);
  run.dirty = true;
  plan(region, run);
}

/// Fetches rows of a region anew, by their keys.
export function refreshRows(region, keys) {
  const run = runOf(region);
  for (const key of keys) run.rows.add(key);
  plan(region, run);
}

/// Fetches a region anew without waiting for what has failed before.
function refreshAnew(region) {
  const run = runOf(region);
  clearTimeout(run.timer);
  run.timer = 0;
  run.failures = 0;
  refresh(region);
}

function plan(region, run) {
  if (run.busy || run.timer) return;
  const wait = run.at + gap(region, run) - performance.now();
  if (wait > 0) run.timer = setTimeout(() => { run.timer = 0; fetchNow(region, run); }, wait);
  else fetchNow(region, run);
}

async function fetchNow(region, run) {
  if (!region.isConnected) return;
  const whole = run.dirty;
  let failed = false;
  const rows = [...run.rows];
  run.busy = true;
  run.dirty = false;
  run.rows.clear();
  try {
    if (whole) await fetchRegion(region);
    else if (rows.length) await fetchRows(region, rows);
  } catch {
    // The stream says if the server is away; when it is back, everything is fetched.
    failed = true;
    if (whole) run.dirty = true; else rows.forEach((row) => run.rows.add(row));
  }
  run.busy = false;
  run.at = performance.now();
  run.failures = failed ? run.failures + 1 : 0;
  if (state !== "away" && (run.dirty || run.rows.size)) plan(region, run);
}

/// Fetches a part of a page. What is not an answer is thrown, with its `status`.
export async function text(url) {
  const answer = await fetch(url, { headers: { "X-Chorus-Client": "dashboard" } });
  const assets = answer.headers.get("X-Chorus-Assets");
  if (assets && !new URL(import.meta.url).pathname.startsWith(`${assets}/`)) {
    document.getElementById("outdated").hidden = false;
  }
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  return answer.text();
}

// The same; null if there is no such thing any more.
async function textIfThere(url) {
  try { return await text(url); } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

async function fetchRegion(region) {
  const html = await textIfThere(region.dataset.src);
  if (html === null || !region.isConnected) return;
  await swap(region, html, "outerMorph");
}

async function fetchRows(region, rows) {
  const { rowsSrc, rowsPrefix } = region.dataset;
  const url = new URL(rowsSrc, location.href);
  url.searchParams.set("ids", rows.slice(0, 50).join(","));
  rows.slice(50).forEach((row) => runOf(region).rows.add(row));
  const html = await textIfThere(url);
  if (html === null) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  for (const row of rows.slice(0, 50)) {
    const here = document.getElementById(rowsPrefix + row);
    const there = fresh.content.getElementById(rowsPrefix + row);
    if (here && there) await swap(here, there.outerHTML, "outerMorph");
  }
}

async function swap(target, html, style) {
  await htmx.swap({ text: html, target, swap: style, sourceElement: target });
  refreshAges(target.isConnected ? target : document);
  document.dispatchEvent(new CustomEvent("chorus:updated", { detail: { target } }));
}

function names(data, id) {
  return data.session_id === id || data.project_id === id || String(data.document_id) === id || String(data.task_id) === id
    || (Array.isArray(data.task_ids) && data.task_ids.map(String).includes(id));
}

function hear(event) {
  let data = {};
  try { data = JSON.parse(event.data); } catch { /* an event without data names nothing */ }
  const told = { id: event.id, kind: event.kind, data };
  for (const run of listeners) run(told);
  for (const region of document.querySelectorAll("[data-live],[data-rows]")) {
    const { live = "", rows = "", rowsNew = "", of, rowsKey, rowsPrefix } = region.dataset;
    if (of && !names(data, of)) continue;
    if (live.split(" ").includes(event.kind)) { refresh(region); continue; }
    const row = rows.split(" ").includes(event.kind) ? data[rowsKey] : null;
    if (!row) continue;
    if (document.getElementById(rowsPrefix + row)) {
      refreshRows(region, [row]);
    } else if (rowsNew.split(" ").includes(event.kind)) {
      refresh(region);
    }
  }
}

/// Fetches every region: what was missed is not known.
export function refreshAll() {
  document.querySelectorAll("[data-src]").forEach(refreshAnew);
  document.dispatchEvent(new CustomEvent("chorus:reset"));
}

// A region with data-fetch-once comes without what takes long to find out. Buttons fetch regions anew: data-refresh="id" at a
// click, data-refreshes="id" after what they do has been done.
document.querySelectorAll("[data-fetch-once]").forEach(refresh);

function refreshNamed(id) {
  const region = document.getElementById(id);
  if (region) refreshAnew(region);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-refresh]");
  if (button) refreshNamed(button.dataset.refresh);
  if (event.target.closest("[data-reload]")) location.reload();
});

document.addEventListener("chorus:done", (event) => {
  const done = event.target.closest?.("[data-refreshes]");
  if (done) refreshNamed(done.dataset.refreshes);
});

// --- the stream ---

function setState(next) {
  const back = next === "live" && state === "away";
  state = next;
  for (const run of stateListeners) run(state);
  // While it was away a fetch may have failed.
  if (back) refreshAll();
}

function take({ event, notice, reset, state: next }) {
  if (event) hear(event);
  if (notice) document.dispatchEvent(new CustomEvent("chorus:notice", { detail: notice }));
  if (reset) refreshAll();
  if (next) setState(next);
}

const kinds = document.body.dataset.kinds.split(" ");

function hello() {
  return { after: Number(document.body.dataset.event), kinds, notices: wantsNotices(), lock };
}

const lock = `chorus-tab-${Math.random().toString(36).slice(2)}`;

/// Begins. `notices()` says whether this browser shows notices.
export function start(notices) {
  wantsNotices = notices;
  if ("SharedWorker" in window) {
    const script = new URL("./stream-worker.js", import.meta.url);
    const worker = new SharedWorker(script, { name: "chorus" });
    // Where it cannot run there is still a stream of this page's own.
    worker.onerror = () => { port = null; own(); };
    port = worker.port;
    port.onmessage = ({ data }) => take(data);
    // Once the lock is held, not before: the worker takes a lock that it gets for a tab that has gone.
    const join = () => port?.postMessage(hello());
    if (navigator.locks) navigator.locks.request(lock, () => { join(); return new Promise(() => {}); });
    else join();
    // A page that is kept for the back button hears nothing meanwhile.
    addEventListener("pagehide", () => port?.postMessage({ leave: true }));
    addEventListener("pageshow", (e) => { if (e.persisted) { port?.postMessage(hello()); refreshAll(); } });
  } else {
    own();
  }
}

/// Says again whether this browser shows notices.
export function changeNotices() {
  if (port) port.postMessage(hello()); else own();
}

// Without a SharedWorker: a stream for this page alone.
function own() {
  clearTimeout(retry);
  source?.close();
  const params = new URLSearchParams({ last_event_id: document.body.dataset.event });
  if (wantsNotices()) params.set("notices", "true");
  source = new EventSource(`/api/events?${params}`);
  source.onopen = () => setState("live");
  source.onerror = () => {
    setState("away");
    // The browser tries again by itself, unless the server has refused.
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(own, RETRY);
  };
  for (const kind of kinds) {
    source.addEventListener(kind, (e) => {
      document.body.dataset.event = e.lastEventId;
      take({ event: { id: Number(e.lastEventId), kind, data: e.data } });
    });
  }
  source.addEventListener("reset", (e) => {
    document.body.dataset.event = e.lastEventId;
    take({ reset: true });
  });
  source.addEventListener("notice", (e) => take({ notice: e.data }));
}
