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

/// Writes all ages below `root` as they are now.
export function refreshAges(root) {
  for (const time of root.querySelectorAll("time[data-age]")) {
    const at = Date.parse(time.dateTime);
    const away = Date.now() - at;
    const text = away < -1000 ? `in ${span(-away)}` : `${span(away)} ago`;
    if (time.textContent !== text) time.textContent = text;
    const exact = new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    if (time.title !== exact) time.title = exact;
  }
}

refreshAges(document);
setInterval(() => { if (!document.hidden) refreshAges(document); }, 1000);
document.addEventListener("visibilitychange", () => refreshAges(document));
