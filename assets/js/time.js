// Times: how long ago, and exactly on hover.
"use strict";

/// A span of milliseconds in words as short as they can be.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

// One for all: making one costs more than all else here.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
/// The time that an element's title says, as its `datetime` has it.
const titled = new WeakMap();

/// Writes all ages below `root` as they are now.
export function refreshAges(root) {
  for (const time of root.querySelectorAll("time[data-age]")) {
    const at = Date.parse(time.dateTime);
    const away = Date.now() - at;
    const text = away < -1000 ? `in ${span(-away)}` : `${span(away)} ago`;
    if (time.textContent !== text) time.textContent = text;
    // A region that was fetched anew has lost its titles.
    if (Number.isNaN(at) || (time.title && titled.get(time) === time.dateTime)) continue;
    time.title = exact.format(at);
    titled.set(time, time.dateTime);
  }
}

refreshAges(document);
setInterval(() => { if (!document.hidden) refreshAges(document); }, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshAges(document); });
