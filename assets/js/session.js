// What every page of a session does.
"use strict";

import { register, twice } from "./keys.js";

// A menu closes when something in it was chosen, by Escape, and when somebody clicks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest("button")) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// On a phone not all tabs have room.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

const tab = (end) => () => {
  const link = document.querySelector(`.tabs a[href$="${end}"]`) ?? document.querySelector(".tabs a");
  link.click();
};

function usable(id) {
  const button = document.getElementById(id);
  return button && !button.disabled ? button : null;
}

function press(id) {
  const button = usable(id);
  button?.click();
  return Boolean(button);
}

register(
  { key: "1", group: "Session", what: "Conversation", run: () => document.querySelector(".tabs a").click() },
  { key: "2", group: "Session", what: "Terminal", run: tab("/terminal") },
  { key: "3", group: "Session", what: "Tools", run: tab("/tools") },
  { key: "4", group: "Session", what: "Changes", run: tab("/changes") },
  { key: "5", group: "Session", what: "About", run: tab("/about") },
  { key: "i", group: "Session", what: "Interrupt Claude; press twice", run: () => {
    const button = usable("do-interrupt");
    if (button) twice(button, "interrupt Claude", () => press("do-interrupt"));
    return Boolean(button);
  } },
  { key: "y", group: "Session", what: "Copy the attach command", run: () => press("do-attach") },
);
