// The settings' pages.
"use strict";

import { api, bodyOf } from "./actions.js";
import { hasSound, toggle, toggleSound, wanted } from "./notices.js";

document.querySelector("[data-preview-rule]")?.addEventListener("click", async (event) => {
  const form = event.target.closest("form");
  const said = document.getElementById("rule-preview");
  if (!form.reportValidity()) return;
  try {
    const { data } = await api("POST", "/api/permissions/rules/preview", bodyOf(form));
    said.textContent = `${data.words}. Of the last ${data.considered} requests it matches ${data.matched}; ${data.would_change} of them would have ended otherwise.`;
  } catch (problem) { said.textContent = problem.message; }
});

function shown() {
  const notices = document.getElementById("toggle-notices");
  if (!notices) return;
  notices.textContent = `Turn notifications ${wanted() ? "off" : "on"}`;
  const sound = document.getElementById("toggle-sound");
  sound.textContent = `Turn the sound ${hasSound() ? "off" : "on"}`;
}

shown();
document.getElementById("toggle-notices")?.addEventListener("click", async () => { await toggle(); shown(); });
document.getElementById("toggle-sound")?.addEventListener("click", () => { toggleSound(); shown(); });
