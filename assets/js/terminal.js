// A session's terminal: looking at first, typing when somebody has switched to it. The protocol is told at
// `GET /api/sessions/{id}/terminal` in the API's description.
"use strict";

import { FitAddon } from "../vendor/xterm-addon-fit.js";
import { Terminal } from "../vendor/xterm.js";
import { announce } from "./actions.js";

/// Between two attempts to connect. Milliseconds.
const PAUSES = [500, 1000, 2000, 5000, 10000];
/// The code with which the server closes a connection when its terminal has ended.
const ENDED = 4001;
/// The letters of a terminal that is only looked at shrink no further than this. Pixels.
const SMALLEST = 6;
const LARGEST = 14;

const section = document.getElementById("terminal");
const screen = document.getElementById("screen");
const typing = document.getElementById("typing");
const state = document.getElementById("terminal-state");
const size = document.getElementById("terminal-size");
const end = document.getElementById("terminal-end");

function colours() {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  return {
    background: token("--term-paper"), foreground: token("--term-ink"), cursor: token("--term-ink"),
    cursorAccent: token("--term-paper"), selectionBackground: token("--accent"), selectionForeground: token("--on-accent"),
  };
}

const mono = getComputedStyle(document.documentElement).getPropertyValue("--term-font").trim() || "monospace";
const terminal = new Terminal({
  allowProposedApi: false,
  cursorInactiveStyle: "outline",
  disableStdin: true,
  fontFamily: mono,
  fontSize: LARGEST,
  // A link that a program wrote leads to the web or nowhere, and opens no dialog.
  linkHandler: { activate: (_event, to) => open(to) },
  minimumContrastRatio: 4.5,
  screenReaderMode: false,
  scrollback: 10000,
  theme: colours(),
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(screen);
terminal.textarea?.setAttribute("aria-label", "Terminal input");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { terminal.options.theme = colours(); });

function open(to) {
  let url;
  try { url = new URL(to); } catch { return; }
  if (url.protocol === "https:" || url.protocol === "http:") window.open(url, "_blank", "noopener,noreferrer");
}

// tmux answers what a program asks its terminal; a second answer would be typed into it.
const answered = () => true;
for (const id of [{ final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" }, { final: "n" },
  { prefix: "?", final: "n" }, { prefix: ">", final: "q" }, { intermediates: "$", final: "p" },
  { prefix: "?", intermediates: "$", final: "p" }, { final: "t" }, { prefix: "?", final: "u" }]) {
  terminal.parser.registerCsiHandler(id, answered);
}
terminal.parser.registerDcsHandler({ intermediates: "$", final: "q" }, answered);
terminal.parser.registerDcsHandler({ intermediates: "+", final: "q" }, answered);
for (const number of [4, 10, 11, 12, 52]) terminal.parser.registerOscHandler(number, answered);

// --- the connection ---

let socket = null;
let tries = 0;
/// Something was shown: it stays to be read when the terminal has ended.
let shown = false;
let mayType = false;
/// Nothing is tried before the session has a terminal again.
let waits = false;
const encoder = new TextEncoder();

function say(message) { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); }

function connect() {
  const url = new URL(`/api/sessions/${section.dataset.session}/terminal`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    tries = 0;
    shown = true;
    // Whoever typed before the connection was lost goes on.
    if (typing.checked) askToType();
  };
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) { terminal.write(new Uint8Array(data)); return; }
    hear(JSON.parse(data));
  };
  socket.onclose = ({ code }) => {
    setTyping(false);
    waits = !hasTerminal();
    if (waits || code === ENDED) state.textContent = shown ? "The terminal has ended. What it showed last is below." : "Claude has no terminal here now.";
    else state.textContent = "No connection to the terminal; trying again…";
    if (waits) return;
    setTimeout(connect, PAUSES[Math.min(tries, PAUSES.length - 1)]);
    tries += 1;
  };
}

/// Whether there is a terminal to look at, as the page's head says: what can be looked at can be attached to.
function hasTerminal() { return Boolean(document.getElementById("do-attach")); }

document.addEventListener("chorus:updated", () => {
  if (!waits || !hasTerminal()) return;
  waits = false;
  connect();
});

function hear(told) {
  switch (told.type) {
    case "screen":
      terminal.resize(told.columns, told.rows);
      size.textContent = `${told.columns} × ${told.rows}`;
      if (!mayType) { state.textContent = "Looking"; shrink(); }
      break;
    case "typing": setTyping(told.on); break;
    case "refused":
      if (!mayType) { typing.checked = false; setTyping(false); }
      announce(told.detail, true);
      break;
    default:
  }
}

// --- the size ---

/// Makes the letters so small that all columns are seen, as far as they can be read.
function shrink() {
  const room = screen.clientWidth - 8;
  for (let letters = LARGEST; letters >= SMALLEST; letters -= 1) {
    if (terminal.options.fontSize !== letters) terminal.options.fontSize = letters;
    const drawn = screen.querySelector(".xterm-screen")?.clientWidth ?? 0;
    if (drawn <= room) return;
  }
}

/// Tells how much room there is, for a terminal that is typed in.
function tellRoom() {
  const room = fit.proposeDimensions();
  if (room && room.cols >= 2 && room.rows >= 2) say({ type: "size", columns: Math.min(room.cols, 1000), rows: Math.min(room.rows, 1000) });
}

let resizing = 0;
new ResizeObserver(() => {
  clearTimeout(resizing);
  resizing = setTimeout(() => { if (mayType) tellRoom(); else shrink(); }, 100);
}).observe(screen);

// --- typing ---

function askToType() {
  terminal.options.fontSize = LARGEST;
  say({ type: "typing", on: true });
  tellRoom();
}

function setTyping(on) {
  mayType = on;
  terminal.options.disableStdin = !on;
  section.classList.toggle("typing", on);
  if (on) {
    state.textContent = "Typing: what you press goes to Claude";
    terminal.focus();
  } else if (socket?.readyState === WebSocket.OPEN) {
    state.textContent = "Looking";
    shrink();
  }
}

typing.addEventListener("change", () => {
  if (typing.checked) askToType();
  else say({ type: "typing", on: false });
});

terminal.onData((keys) => { if (mayType && socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(keys)); });
terminal.onBinary((keys) => {
  if (mayType && socket.readyState === WebSocket.OPEN) socket.send(Uint8Array.from(keys, (c) => c.charCodeAt(0)));
});

// tmux knows whether the program wants its pastes in brackets.
screen.addEventListener("paste", (event) => {
  event.preventDefault();
  event.stopPropagation();
  const text = event.clipboardData?.getData("text/plain");
  if (text && mayType) say({ type: "paste", text });
}, true);

terminal.attachCustomKeyEventHandler((event) => {
  // A way out for whoever has only a keyboard: Tab and Escape are the program's.
  if (event.key === "Escape" && event.ctrlKey && event.shiftKey) {
    if (event.type === "keydown") typing.focus();
    return false;
  }
  // Copying is the browser's while something is selected.
  if (event.key.toLowerCase() === "c" && (event.metaKey || (event.ctrlKey && event.shiftKey))) return false;
  return mayType;
});

// --- scrolling ---

terminal.onScroll(showEnd);
terminal.onWriteParsed(showEnd);
function showEnd() {
  const { viewportY, baseY } = terminal.buffer.active;
  end.hidden = viewportY >= baseY;
}
end.addEventListener("click", () => { terminal.scrollToBottom(); showEnd(); });

connect();
