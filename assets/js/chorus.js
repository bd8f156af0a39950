// What every page loads.
"use strict";

import "./time.js";
import "./actions.js";
import "./keys.js";
import "./palette.js";
import { wanted } from "./notices.js";
import { start } from "./live.js";

// What a person has opened or closed stays so when its region is fetched anew.
window.htmx?.registerExtension("chorus", {
  htmx_before_morph_attr(element, { attrName }) {
    if (attrName === "open") return !(element instanceof HTMLDetailsElement || element instanceof HTMLDialogElement);
    // Set by scripts, unknown to the server.
    return !["aria-busy", "aria-invalid", "data-filled", "data-restored", "data-src", "tabindex"].includes(attrName);
  },
});

start(wanted);
