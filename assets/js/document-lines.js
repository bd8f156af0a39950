// Lines of a document that a person selects: by drag, by Shift and a click, or by key. In the source these are its
// lines, in the rendered text the lines of its blocks.
"use strict";

const listeners = new Set();
let lines = null;
let anchor = null;
let head = null;

/// The element that holds the lines.
export function holder() { return document.getElementById("lines"); }
/// The selected lines: `{start, end}`, or null.
export function selected() { return lines; }
/// Calls `run(lines)` whenever others are selected.
export function onSelect(run) { listeners.add(run); }

/// What is selected as one: the elements and their lines, from top to bottom.
export function items() {
  const all = holder();
  if (!all) return [];
  if ("source" in all.dataset) {
    return [...all.children].map((e) => ({ element: e, start: Number(e.dataset.line), end: Number(e.dataset.line) }));
  }
  const first = Number(document.getElementById("content").dataset.first) - 1;
  const blocks = [...all.children].flatMap((e) => {
    if (e.matches("ul, ol")) return [...e.children];
    return e.matches("table") ? [...e.querySelectorAll("tr")] : [e];
  });
  return blocks.flatMap((element) => {
    const place = element.dataset.sourcepos?.match(/^(\d+):\d+-(\d+):(\d+)$/);
    if (!place) return [];
    // A block whose end is before the first column of a line ends on the line before.
    const end = Number(place[2]) - (place[3] === "0" ? 1 : 0);
    return [{ element, start: first + Number(place[1]), end: first + Math.max(Number(place[1]), end) }];
  });
}

/// The item that a line is in, or that is nearest before it.
export function itemOf(line) {
  return items().findLast((i) => i.start <= line) ?? items()[0] ?? null;
}

function paint() {
  for (const { element, start, end } of items()) {
    element.classList.toggle("selected", lines !== null && start <= lines.end && lines.start <= end);
  }
}

/// Selects lines; none with null.
export function select(next) {
  lines = next;
  paint();
  const url = new URL(location.href);
  url.hash = next ? (next.start === next.end ? `L${next.start}` : `L${next.start}-L${next.end}`) : "";
  history.replaceState(null, "", url);
  document.getElementById("polite").textContent = next ? `${words(next)} selected` : "";
  for (const run of listeners) run(next);
}

/// Lines in words.
export function words({ start, end }) { return start === end ? `Line ${start}` : `Lines ${start}–${end}`; }

function span(all, a, b) {
  const [from, to] = [Math.min(a, b), Math.max(a, b)];
  return { start: all[from].start, end: all[to].end };
}

function indexOf(all, target) { return all.findIndex((i) => i.element === target || i.element.contains(target)); }

function extend(all, to) {
  head = to;
  select(span(all, anchor ?? to, to));
}

// --- by drag, from number to number ---

let dragging = false;

document.addEventListener("pointerdown", (event) => {
  const number = event.target.closest?.(".no");
  if (!number || event.button !== 0) return;
  event.preventDefault();
  const all = items();
  const at = indexOf(all, number);
  if (!event.shiftKey || anchor === null) anchor = at;
  dragging = true;
  extend(all, at);
  holder().focus({ preventScroll: true });
});
document.addEventListener("pointermove", (event) => {
  if (!dragging) return;
  const all = items();
  const at = indexOf(all, document.elementFromPoint(event.clientX, event.clientY));
  if (at >= 0 && at !== head) extend(all, at);
});
document.addEventListener("pointerup", () => { dragging = false; });

// --- by selecting text, and by Shift and a click ---

/// The first and the last item of which some text is in a range; null if there is none.
function touched(all, range) {
  const within = all.flatMap(({ element }, n) => {
    if (!range.intersectsNode(element)) return [];
    const part = document.createRange();
    part.selectNodeContents(element);
    if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0) part.setStart(range.startContainer, range.startOffset);
    if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) part.setEnd(range.endContainer, range.endOffset);
    // A paragraph that is selected as a whole ends where the next one begins.
    return part.toString().trim() ? [n] : [];
  });
  return within.length ? [within[0], within.at(-1)] : null;
}

document.addEventListener("mouseup", (event) => {
  if (dragging || event.button !== 0 || event.shiftKey || event.target.closest?.(".selection, dialog, .no, .margin")) return;
  const text = getSelection();
  if (!text.rangeCount || text.isCollapsed || !holder()?.contains(text.anchorNode)) return;
  const all = items();
  const ends = touched(all, text.getRangeAt(0));
  if (!ends) return;
  anchor = ends[0];
  extend(all, ends[1]);
});

document.addEventListener("click", (event) => {
  const all = items();
  const at = holder()?.contains(event.target) ? indexOf(all, event.target) : -1;
  if (at < 0 || event.target.closest("a, button, summary, input, .no")) return;
  if (event.shiftKey && anchor !== null) {
    getSelection().removeAllRanges();
    extend(all, at);
  } else if (getSelection().isCollapsed) {
    anchor = at;
  }
});

// --- by key ---

document.addEventListener("keydown", (event) => {
  if (event.target !== holder() || event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
  if (event.key === "Escape" && lines) { clear(); event.preventDefault(); return; }
  if (!by) return;
  const all = items();
  if (!all.length) return;
  event.preventDefault();
  const seen = all.findIndex((i) => i.element.getBoundingClientRect().bottom > 80);
  const from = head ?? Math.max(0, seen) - by;
  const to = Math.min(all.length - 1, Math.max(0, from + by));
  if (!event.shiftKey || anchor === null) anchor = to;
  extend(all, to);
  all[to].element.scrollIntoView({ block: "nearest" });
});

/// Selects nothing.
export function clear() {
  anchor = null;
  head = null;
  getSelection()?.removeAllRanges();
  select(null);
}

/// Selects what the address names: `#L3` or `#L3-L7`.
export function fromAddress() {
  const named = location.hash.match(/^#L(\d+)(?:-L(\d+))?$/);
  if (!named) return;
  const wanted = { start: Number(named[1]), end: Number(named[2] ?? named[1]) };
  const item = itemOf(wanted.start);
  if (!item) return;
  anchor = head = indexOf(items(), item.element);
  if (named[2] || "source" in holder().dataset) select(wanted);
  item.element.scrollIntoView({ block: "center" });
}

document.addEventListener("chorus:updated", paint);
