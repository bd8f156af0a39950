// The tree of documents: what is sought is found while it is typed.
"use strict";

import { refresh } from "./live.js";

const form = document.querySelector("form.find");
const field = document.getElementById("find-q");
let timer = 0;

function seek() {
  clearTimeout(timer);
  const url = new URL(location.href);
  for (const name of ["cursor", "part"]) url.searchParams.delete(name);
  if (field.value.trim()) url.searchParams.set("q", field.value.trim()); else url.searchParams.delete("q");
  history.replaceState(null, "", url);
  const region = document.getElementById("documents");
  url.searchParams.set("part", "documents");
  region.dataset.src = url.pathname + url.search;
  refresh(region);
}

field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(seek, 150); });
form.addEventListener("change", (event) => { if (event.target.matches("select")) form.requestSubmit(); });
form.addEventListener("submit", (event) => {
  if ((form.elements.project?.value ?? "") !== (new URLSearchParams(location.search).get("project") ?? "")) return;
  event.preventDefault();
  seek();
});
