// Every page, in both themes, on a desk and on a phone: nothing that axe-core finds, nothing that overflows. With
// CHORUS_SCREENSHOTS set to a folder, what they look like is kept there (`make screenshots`).
const fs = require("node:fs");
const path = require("node:path");
const { AxeBuilder } = require("@axe-core/playwright");
const { test, expect } = require("@playwright/test");
const { api, play, waitFor, waitForStatus, world, write } = require("./world");

const keep = process.env.CHORUS_SCREENSHOTS;

/// What is on the pages. Made once.
const made = {};

test.beforeAll(async () => {
  test.setTimeout(180_000);
  // After a story that failed the file is begun anew, in the same world.
  const again = (await api("GET", "/api/sessions")).length > 0;
  if (!again) await makeAll();
  made.tasks = await api("GET", "/api/tasks");
  made.document = (await api("GET", "/api/documents")).find((d) => d.path === "docs/spec.md");
  made.document_task = (await api("GET", `/api/documents/${made.document.id}/references`))[0].task_id;
  made.session = await api("GET", "/api/sessions/fix-flaky-test");
});

async function makeAll() {
  write("docs/spec.md", "# Orders\n\nHow an order is taken.\n\n## States\n\n| state | meaning |\n|---|---|\n| open | may change |\n| paid | may not |\n\n## Refunds\n\nA refund needs a reason, and somebody who has approved it.\n\n```rust\nfn refund(order: Order) -> Result<Refund> { todo!() }\n```\n");
  write("docs/plan.md", "# Plan\n\n1. States\n2. Refunds\n");
  write("README.md", "# Shop\n\nTakes orders.\n");
  await play("api-refunds", "write");
  await play("fix-flaky-test", "bash");
  await play("which-database", "ask");
  await play("plan-invoices", "plan");
  await play("long-build", "todo");
  await play("docs-tidy", "markdown");
  await play("nightly", "badrequest");
  for (const [title, priority, labels] of [
    ["Refunds need a reason", 1, ["api"]], ["Send invoices by mail", 2, ["mail", "later"]], ["Speed up the list of orders", 3, []],
  ]) await api("POST", "/api/tasks", { title, priority, labels, description: `${title}, as the document says.` });
  const [task] = await api("GET", "/api/tasks");
  const document = await waitFor("the document", async () =>
    (await api("GET", "/api/documents?discover=true")).find((d) => d.path === "docs/spec.md"));
  await api("POST", `/api/documents/${document.id}/references`, { task_id: task.id, start_line: 13, end_line: 15, note: "what is asked for" });
  for (const name of ["api-refunds", "fix-flaky-test", "which-database"]) await waitForStatus(name, "waiting");
  await waitForStatus("docs-tidy", "idle");
}

const pages = [
  ["now", () => "/"],
  ["new-session", () => "/?new=session"],
  ["session", () => "/sessions/docs-tidy"],
  ["session-asks", () => `/sessions/${made.session.id}`],
  ["session-terminal", () => `/sessions/${made.session.id}/terminal`],
  ["session-tools", () => `/sessions/${made.session.id}/tools`],
  ["session-changes", () => `/sessions/${made.session.id}/changes`],
  ["session-about", () => `/sessions/${made.session.id}/about`],
  ["tasks", () => "/tasks"],
  ["task-board", () => "/tasks?view=board"],
  ["new-task", () => "/tasks?new=task"],
  ["task", () => `/tasks/${made.document_task}`],
  ["all-sessions", () => "/sessions"],
  ["documents", () => "/documents"],
  ["document", () => `/documents/${made.document.id}`],
  ["document-source", () => `/documents/${made.document.id}?view=source&line=13#L13-L14`],
  ["activity", () => "/activity"],
  ["settings-health", () => "/settings/health"],
  ["settings-configuration", () => "/settings/configuration"],
  ["settings-hooks", () => "/settings/hooks"],
  ["settings-rules", () => "/settings/rules"],
  ["settings-projects", () => "/settings/projects"],
  ["settings-browser", () => "/settings/browser"],
];

/// Where things are on this machine, and what a picture says instead.
const NAMES = [
  [world.env.CHORUS_CLAUDE, "/home/you/.local/bin/claude"],
  [world.data, "/home/you/.local/share/chorus"],
  [world.project, "/home/you/shop"],
  [world.home, "/home/you"],
  [path.dirname(world.project), "/home/you"],
];

/// Writes these names into a page.
function rename(names) {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    let text = texts.currentNode.nodeValue;
    for (const [there, said] of names) text = text.replaceAll(there, said);
    if (text !== texts.currentNode.nodeValue) texts.currentNode.nodeValue = text;
  }
}

/// What axe-core finds, in words.
async function findings(page, rules) {
  const axe = new AxeBuilder({ page });
  const { violations } = await (rules ? axe.withRules(rules) : axe).analyze();
  return violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => n.html.slice(0, 200)).join("\n  ")}`);
}

for (const [name, where] of pages) {
  test(`${name}: nothing that axe-core finds and nothing that overflows, in both themes, on a desk and on a phone`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await page.goto(where());
    await expect(page.locator("#link")).toHaveText("live");
    const scripts = await page.evaluate(() => performance.getEntriesByType("resource")
      .filter((r) => r.name.endsWith(".js")).reduce((sum, r) => sum + r.decodedBodySize, 0));
    // Drawing a terminal takes more.
    if (name !== "session-terminal") expect.soft(scripts, "bytes of script").toBeLessThan(150_000);
    expect.soft(scripts, "bytes of script").toBeGreaterThan(0);
    // The themes differ in their colours alone.
    for (const [device, width, height, theme, rules] of [
      ["desk", 1440, 900, "light", null], ["desk", 1440, 900, "dark", ["color-contrast"]],
      ["phone", 390, 844, "dark", null], ["phone", 390, 844, "light", ["color-contrast"]],
    ]) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height });
      const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect.soft(wide, `${device}: nothing is wider than the window`).toBeLessThanOrEqual(room);
      const found = await findings(page, rules);
      expect.soft(found, `${device}, ${theme}: ${found.join("\n")}`).toEqual([]);
      if (keep) {
        fs.mkdirSync(keep, { recursive: true });
        await page.evaluate(rename, NAMES);
        await page.screenshot({ path: path.join(keep, `${name}-${device}-${theme}.png`) });
      }
    }
  });
}
