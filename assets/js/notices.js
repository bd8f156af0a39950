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

/// Whether a sound is made for what needs a person.
export function hasSound() { return localStorage.getItem(SOUND) === "yes"; }
/// Turns the sound on or off.
export function toggleSound() {
  if (hasSound()) localStorage.removeItem(SOUND); else { localStorage.setItem(SOUND, "yes"); beep(); }
  return hasSound();
}

function beep() {
  try {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    volume.gain.setValueAtTime(0.08, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.4);
    tone.frequency.value = 660;
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.4);
    tone.onended = () => audio.close();
  } catch { /* no sound here */ }
}

document.addEventListener("chorus:notice", ({ detail }) => {
  let notice;
  try { notice = JSON.parse(detail); } catch { return; }
  if (!wanted()) return;
  const where = [notice.project, notice.attach].filter(Boolean).join(" · ");
  try {
    // The same tag in every tab: the browser shows it once.
    const shown = new Notification(notice.title, {
      body: [notice.body, where].filter(Boolean).join("\n"),
      tag: `chorus-${notice.session_id}-${notice.event_id}`,
      requireInteraction: notice.kind === "permission" || notice.kind === "error",
    });
    shown.onclick = () => {
      window.focus();
      location.href = notice.kind === "permission" ? "/#needs-you" : `/sessions/${encodeURIComponent(notice.session_id)}`;
      shown.close();
    };
    shown.onerror = giveUp;
  } catch { giveUp(); }
});

// A browser that cannot show notices must not keep the desktop from them.
function giveUp() {
  localStorage.removeItem(WANTED);
  changeNotices();
}

// --- the count, in the title and on the icon ---

const icon = document.getElementById("favicon");
const plain = icon.href;
let counted = null;

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
  const waiting = Number(document.getElementById("waiting")?.dataset.count ?? 0);
  const title = document.title.replace(/^\(\d+\) /, "");
  const next = waiting ? `(${waiting}) ${title}` : title;
  if (document.title !== next) document.title = next;
  if (waiting === counted) return;
  icon.href = waiting ? drawn(waiting) : plain;
  if (counted !== null && waiting > counted) {
    document.getElementById("polite").textContent = document.querySelector("#waiting .alert")?.textContent.trim() ?? "";
    if (hasSound()) beep();
  }
  counted = waiting;
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
