// What tells a person who looks elsewhere: the title, the favicon, the browser's own notifications, a sound.
"use strict";

import { announce } from "./actions.js";
import { changeNotices, onState } from "./live.js";

const WANTED = "chorus-notices";
const SOUND = "chorus-sound";

/// Whether this browser shows notices: somebody has asked for them here, and the browser lets it.
export function wanted() {
  return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(WANTED) === "yes";
}

/// Turns notices on or off. Resolves to whether they are on.
export async function toggle() {
  if (wanted()) localStorage.removeItem(WANTED);
  else if (!("Notification" in window)) announce("This browser has no notifications.", true);
  else if (await Notification.requestPermission() === "granted") localStorage.setItem(WANTED, "yes");
  else announce("The browser does not allow notifications of this page; its settings can allow them.", true);
  changeNotices();
  return wanted();
}

// Another tab has turned them on or off: the server counts what all of them say.
addEventListener("storage", ({ key }) => { if (key === WANTED || key === null) changeNotices(); });

/// Whether a sound is made for what needs a person.
export function hasSound() { return localStorage.getItem(SOUND) === "yes"; }
/// Turns the sound on or off.
export function toggleSound() {
  if (hasSound()) localStorage.removeItem(SOUND); else { localStorage.setItem(SOUND, "yes"); beep(); }
  return hasSound();
}

/// A short tone. Of several tabs that want one at the same time, one makes it: one that the browser lets.
function beep() {
  if (navigator.userActivation?.hasBeenActive === false) return;
  if (!navigator.locks) { tone(); return; }
  navigator.locks.request("chorus-beep", { ifAvailable: true }, (lock) => {
    if (!lock) return undefined;
    tone();
    return new Promise((done) => setTimeout(done, 1000));
  });
}

function tone() {
  try {
    const audio = new AudioContext();
    setTimeout(() => audio.close(), 2000);
    const wave = audio.createOscillator();
    const volume = audio.createGain();
    volume.gain.setValueAtTime(0.08, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.4);
    wave.frequency.value = 660;
    wave.connect(volume).connect(audio.destination);
    wave.start();
    wave.stop(audio.currentTime + 0.4);
  } catch { /* no sound here */ }
}

document.addEventListener("chorus:notice", ({ detail }) => {
  let notice;
  try { notice = JSON.parse(detail); } catch { return; }
  // The browser's settings do not allow them any more: that is to be known, or nobody shows any.
  if (!wanted()) { changeNotices(); return; }
  const where = [notice.project, notice.attach].filter(Boolean).join(" · ");
  try {
    // The same tag in every tab: the browser shows it once.
    const shown = new Notification(notice.title, {
      body: [notice.body, where].filter(Boolean).join("\n"),
      tag: `chorus-${notice.session_id}-${notice.event_id}`,
      requireInteraction: notice.kind === "permission" || notice.kind === "error",
    });
    shown.onclick = () => {
      goTo(notice);
      shown.close();
    };
    shown.onerror = giveUp;
  } catch { giveUp(); }
});

// To where a notice is about, without taking away what another tab shows.
function goTo(notice) {
  const ofSession = notice.session_id && notice.kind !== "permission";
  const url = new URL(ofSession ? `/sessions/${encodeURIComponent(notice.session_id)}` : "/#needs-you", location.href);
  if (location.pathname !== url.pathname) { window.open(url, "chorus-now"); return; }
  window.focus();
  if (url.hash) location.hash = url.hash;
}

// A browser that cannot show notices must not keep the desktop from them.
function giveUp() {
  localStorage.removeItem(WANTED);
  changeNotices();
}

// --- the count, in the title and on the icon ---

const icon = document.getElementById("favicon");
const plain = icon.href;
let counted = null;
let newest = null;

function drawn(count) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  const c = canvas.getContext("2d");
  c.fillStyle = "#b3541e";
  c.beginPath(); c.arc(16, 16, 16, 0, 2 * Math.PI); c.fill();
  c.fillStyle = "#fff";
  c.font = "bold 20px sans-serif";
  c.textAlign = "center"; c.textBaseline = "middle";
  c.fillText(count > 9 ? "9+" : String(count), 16, 17);
  return canvas.toDataURL("image/png");
}

function count() {
  const line = document.getElementById("waiting");
  const waiting = Number(line.dataset.count);
  const title = document.title.replace(/^\(\d+\) /, "");
  const next = waiting ? `(${waiting}) ${title}` : title;
  if (document.title !== next) document.title = next;
  if (waiting !== counted) icon.href = waiting ? drawn(waiting) : plain;
  // Times in RFC 3339 with as many digits are in their order.
  if (newest !== null && line.dataset.newest > newest) {
    document.getElementById("polite").textContent = line.querySelector(".alert")?.textContent.trim() ?? "";
    if (hasSound()) beep();
  }
  counted = waiting;
  if (newest === null || line.dataset.newest > newest) newest = line.dataset.newest;
}

count();
document.addEventListener("chorus:updated", count);

// --- whether the page is live ---

const link = document.getElementById("link");
onState((state) => {
  link.textContent = state === "live" ? "live" : "The server is away; trying again…";
  link.className = `link ${state}`;
  document.body.classList.toggle("offline", state === "away");
});
