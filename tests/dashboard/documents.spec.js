const fs = require("node:fs");
const path = require("node:path");
const { test, expect } = require("@playwright/test");
const { api, play, restartServer, screen, waitFor, waitForStatus, world, write } = require("./world");

const SPEC = ["# Orders", "", "How an order is taken.", "", "## States", "", "- open: it may change", "- paid: it may not", "",
  "## Refunds", "", "A refund needs a reason,", "and somebody who has approved it.", "",
  ...Array.from({ length: 60 }, (_, n) => `Paragraph ${n + 1} of the long part.\n`), "## The end", "", "See [the plan](../plans/next.md).", ""].join("\n");

async function open(page, where) {
  await page.goto(where);
  await expect(page.locator("#link")).toHaveText("live");
}

/// A document, once the server has found it.
function found(name) {
  return waitFor(name, async () => (await api("GET", `/api/documents?q=${encodeURIComponent(name)}`)).find((d) => d.path === name));
}
async function openDocument(page, name, more = "") {
  const document = await found(name);
  await open(page, `/documents/${document.id}${more}`);
  return document;
}
const line = (page, n) => page.locator(`#L${n}`);
const chosen = (page) => page.locator("#selection strong");

test("the page of no documents says where they come from", async ({ page }) => {
  for (const { path: name } of await api("GET", "/api/documents")) fs.rmSync(path.join(world.project, name));
  await waitFor("no documents", async () => (await api("GET", "/api/documents?missing=false")).length === 0);
  await open(page, "/documents");
  await expect(page.locator("#documents")).toContainText("No documents yet");
});

test("documents are discovered on startup, and appear without a reload", async ({ page }) => {
  await open(page, "/documents");
  await restartServer(async () => {
    write("docs/orders.md", SPEC);
    write("CLAUDE.md", "# Instructions\n");
  });
  await expect(page.locator(".file").getByRole("link", { name: "orders.md" })).toBeVisible();
  write("docs/deep/er/one.md", "# One\n");
  write("plans/next.md", "# Next\n\nThen this.\n");
  await expect(page.locator(".file").getByRole("link", { name: "one.md" })).toBeVisible();
});

test("document list shows in the dashboard: as a tree with categories, and searched", async ({ page }) => {
  await open(page, "/documents");
  await expect(page.locator("summary", { hasText: "deep/er/" })).toBeVisible();
  await expect(page.locator(".file", { hasText: "CLAUDE.md" })).toContainText("instructions");
  await page.keyboard.press("/");
  await page.keyboard.type("next");
  await expect(page.locator(".file")).toHaveCount(1);
  await expect(page).toHaveURL(/q=next/);
  await page.reload();
  await expect(page.locator(".file")).toHaveCount(1);
  await page.getByLabel("Path or description").fill("");
  await expect(page.locator(".file", { hasText: "orders.md" })).toBeVisible();
  const plans = page.getByRole("navigation", { name: "Categories" }).getByRole("link", { name: "plans" });
  await plans.click();
  await expect(page.locator(".file")).toHaveCount(1);
  // A category is chosen among what was just sought.
  await open(page, "/documents");
  await page.getByLabel("Path or description").fill("orders");
  await expect(page.locator(".file")).toHaveCount(1);
  await plans.click();
  await expect(page).toHaveURL(/q=orders.*category=plans/);
  await expect(page.locator("#documents")).toContainText("No document is like that");
});

test("what is sought last is found, also while an earlier search is under way", async ({ page }) => {
  await open(page, "/documents");
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route(/part=documents.*q=orders|q=orders.*part=documents/, async (route) => { await held; await route.continue(); });
  const first = page.waitForRequest(/q=orders/);
  const field = page.getByLabel("Path or description");
  await field.fill("orders");
  await first;
  await field.fill("next");
  await expect(page).toHaveURL(/q=next/);
  release();
  await expect(page.locator(".file .name")).toHaveText(["next.md"]);
});

test("click a document, content loads", async ({ page }) => {
  await open(page, "/documents");
  await page.getByRole("link", { name: "orders.md" }).click();
  await expect(page.getByRole("heading", { name: "Refunds" })).toBeVisible();
  await page.getByRole("link", { name: "Source" }).click();
  await expect(line(page, 10)).toContainText("## Refunds");
  await expect(page.locator("#link")).toHaveText("live");
  // What is written to the file is seen, and what was chosen stays chosen.
  await line(page, 12).locator(".no").click();
  write("docs/orders.md", SPEC.replace("How an order", "How each order"));
  await expect(line(page, 3)).toContainText("How each order");
  await expect(line(page, 12)).toHaveClass(/selected/);
});

test("outline navigation works, and follows the scroll", async ({ page }) => {
  await openDocument(page, "docs/orders.md");
  const outline = page.getByRole("navigation", { name: "Outline" });
  await expect(outline.getByRole("link")).toHaveText(["Orders", "States", "Refunds", "The end"]);
  await expect(outline.locator("[aria-current]")).toHaveText("Orders");
  await outline.getByRole("link", { name: "The end" }).click();
  await expect(page.getByRole("heading", { name: "The end" })).toBeInViewport();
  await expect(outline.locator("[aria-current]")).toHaveText("The end");
  await page.evaluate(() => window.scrollTo(0, 0));
  await expect(outline.locator("[aria-current]")).toHaveText("Orders");
});

test("line range selection works: by drag, by Shift and a click, by key, and by the address", async ({ page }) => {
  const document = await openDocument(page, "docs/orders.md", "?view=source");
  const number = (n) => line(page, n).locator(".no");
  const [from, to] = [await number(5).boundingBox(), await number(8).boundingBox()];
  await page.mouse.move(from.x + 5, from.y + 5);
  await page.mouse.down();
  await page.mouse.move(to.x + 5, to.y + 5, { steps: 5 });
  await page.mouse.up();
  await expect(chosen(page)).toHaveText("Lines 5–8");
  await expect(page).toHaveURL(/#L5-L8$/);
  await number(3).click();
  await number(6).click({ modifiers: ["Shift"] });
  await expect(chosen(page)).toHaveText("Lines 3–6");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowDown");
  await expect(chosen(page)).toHaveText("Lines 3–8");
  await page.keyboard.press("ArrowDown");
  await expect(chosen(page)).toHaveText("Line 9");
  await page.keyboard.press("Escape");
  await expect(page.locator("#selection")).toBeHidden();
  await open(page, `/documents/${document.id}?view=source&line=12#L12-L13`);
  await expect(chosen(page)).toHaveText("Lines 12–13");
});

test("text that is selected in the rendered view selects its lines", async ({ page }) => {
  await openDocument(page, "docs/orders.md");
  const paragraph = page.locator("#lines p", { hasText: "A refund needs" });
  await paragraph.click({ clickCount: 3 });
  await expect(chosen(page)).toHaveText("Lines 12–13");
  await page.locator("#lines").getByText("open: it may change").click();
  await paragraph.click({ modifiers: ["Shift"] });
  await expect(chosen(page)).toHaveText("Lines 7–13");
});

test("create reference to task, by key alone; it is shown in the margin", async ({ page, context }) => {
  const document = await openDocument(page, "docs/orders.md", "?view=source&line=12#L12-L13");
  const other = await context.newPage();
  await open(other, `/documents/${document.id}`);
  await page.keyboard.press("t");
  const dialog = page.getByRole("dialog", { name: "Add to a task" });
  await dialog.getByLabel("Title of the new task").fill("Refunds need a reason");
  await dialog.getByLabel("Why these lines matter").fill("what is asked for");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const mark = page.locator(".mark");
  await expect(mark).toContainText("what is asked for");
  await expect(mark.getByRole("link", { name: "Refunds need a reason" })).toBeVisible();
  await expect(line(page, 12)).toHaveClass(/referred/);
  // The other tab sees it too, beside its paragraph.
  await expect(other.locator(".mark")).toContainText("what is asked for");
  const [paragraph, beside] = await Promise.all([
    other.locator("#lines p", { hasText: "A refund needs" }).boundingBox(), other.locator(".mark").boundingBox(),
  ]);
  expect(Math.abs(paragraph.y - beside.y)).toBeLessThan(40);
  // Lines can be added to a task that is there.
  await line(page, 7).locator(".no").click();
  await page.getByRole("button", { name: "Add to task…" }).click();
  await dialog.getByLabel("Task", { exact: true }).selectOption({ label: "1 Refunds need a reason" });
  await dialog.getByRole("button", { name: "Add" }).click();
  await expect(page.locator(".mark")).toHaveCount(2);
});

test("reference content is included in the assignment prompt", async ({ page }) => {
  await play("refunder", null);
  await waitForStatus("refunder", "idle");
  await api("PATCH", "/api/tasks/1", { description: "scenario:hello please" });
  await open(page, "/tasks/1");
  await expect(page.locator("#references .ref")).toHaveCount(2);
  await page.keyboard.press("a");
  const dialog = page.getByRole("dialog", { name: "Assign task 1" });
  await dialog.getByLabel("Session").selectOption("refunder");
  await dialog.getByRole("button", { name: "Assign" }).click();
  await expect(page.locator("#about .state").first()).toHaveText("running");
  await waitFor("Claude to have it", async () => (await screen("refunder")).includes("somebody who has approved it"));
  await page.locator("#told-1 summary").click();
  await expect(page.getByLabel("What Claude was told")).toContainText("and somebody who has approved it.");
});

test("a reference that has drifted says so in the margin, and is accepted there", async ({ page }) => {
  await openDocument(page, "docs/orders.md");
  write("docs/orders.md", SPEC.replace("A refund needs a reason,", "A refund needs two reasons,"));
  const mark = page.locator(".mark", { hasText: "what is asked for" });
  await expect(mark.locator(".state")).toHaveText("drifted");
  await mark.getByText("As it was").click();
  await expect(mark.getByLabel("As it was")).toContainText("A refund needs a reason,");
  await mark.getByRole("button", { name: "Accept" }).click();
  await expect(mark.locator(".state")).toHaveCount(0);
});

test("edit in place: what a person has written survives a reload, and what somebody else writes", async ({ page }) => {
  await openDocument(page, "plans/next.md");
  await page.keyboard.press("e");
  const text = page.getByLabel("Your text");
  await expect(text).toBeFocused();
  await text.fill("# Next\n\nMy own words.\n");
  await page.reload();
  await expect(text).toHaveValue("# Next\n\nMy own words.\n");
  write("plans/next.md", "# Next\n\nWords of somebody else.\n");
  await expect(page.getByRole("alert").filter({ hasText: "changed by somebody else" })).toContainText("from line 3");
  await expect(page.getByLabel("What the file says now")).toHaveValue("# Next\n\nWords of somebody else.\n");
  await expect(text).toHaveValue("# Next\n\nMy own words.\n");
  await text.fill("# Next\n\nBoth words.\n");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator("#lines")).toContainText("Both words.");
  expect(fs.readFileSync(path.join(world.project, "plans/next.md"), "utf8")).toBe("# Next\n\nBoth words.\n");
});

test("a conflict that is seen only when saving is shown as well", async ({ page }) => {
  const { id } = await openDocument(page, "plans/next.md");
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await page.getByLabel("Your text").fill("mine\n");
  let first = true;
  await page.route("**/api/documents/*", async (route) => {
    if (first && route.request().method() === "PUT") {
      first = false;
      const { etag } = await api("GET", `/api/documents/${id}`);
      await api("PUT", `/api/documents/${id}`, { content: "theirs\n", etag });
    }
    await route.continue();
  });
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByLabel("What the file says now")).toHaveValue("theirs\n");
  await expect(page.getByLabel("Your text")).toHaveValue("mine\n");
  // What is written is not thrown away by one click.
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("dialog")).toContainText("not saved");
  await page.keyboard.press("Escape");
  await expect(page.getByLabel("Your text")).toHaveValue("mine\n");
  await page.getByRole("button", { name: "Take the file's text" }).click();
  await expect(page.getByLabel("Your text")).toHaveValue("theirs\n");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator("#lines")).toContainText("theirs");
});

test("a file keeps the ends of its lines; one that has several kinds is not edited here", async ({ page }) => {
  const file = path.join(world.project, "docs/windows.md");
  write("docs/windows.md", "# Windows\r\n\r\nOne.\r\n");
  await openDocument(page, "docs/windows.md");
  const button = page.getByRole("button", { name: "Edit", exact: true });
  const text = page.getByLabel("Your text");
  await button.click();
  await expect(text).toHaveValue("# Windows\n\nOne.\n");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(text).toBeHidden();
  await button.click();
  await text.fill("# Windows\n\nTwo.\n");
  // What somebody else adds is where the texts differ, not all of it.
  write("docs/windows.md", "# Windows\r\n\r\nOne.\r\n\r\nMore.\r\n");
  await expect(page.locator("#conflict")).toContainText("from line 3");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(text).toBeHidden();
  expect(fs.readFileSync(file, "utf8")).toBe("# Windows\r\n\r\nTwo.\r\n");
  write("docs/windows.md", "# Windows\r\n\nMixed.\n");
  await expect(page.locator("#lines")).toContainText("Mixed.");
  await button.click();
  await expect(page.locator("#toasts")).toContainText("end in several ways");
  await expect(text).toBeHidden();
});

test("the Edit button opens $EDITOR", async ({ page }) => {
  await openDocument(page, "CLAUDE.md");
  await page.getByRole("button", { name: "Open in $EDITOR" }).click();
  await expect(page.locator("#opened")).toContainText("tail has it open in a terminal");
  await expect(page.locator("#opened code")).toContainText("attach");
});

test("pinned documents appear first, and a category is a person's to choose", async ({ page }) => {
  await open(page, "/documents");
  const one = page.locator(".file", { hasText: "one.md" });
  await one.hover();
  await one.getByRole("button", { name: "Pin docs/deep/er/one.md" }).click();
  await expect(page.locator("#pinned .file")).toHaveCount(1);
  await expect(page.locator(".file .name").first()).toHaveText("docs/deep/er/one.md");
  await page.locator("#pinned").getByRole("link").click();
  await expect(page).toHaveURL(/\/documents\//);
  await expect(page.locator("#link")).toHaveText("live");
  const category = page.getByLabel("Category");
  const was = await category.inputValue();
  await page.route("**/api/documents/*", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: '{"detail":"not now"}' }));
  await category.selectOption("plans");
  await expect(page.locator("#toasts")).toContainText("not now");
  await expect(category).toHaveValue(was);
  await page.unroute("**/api/documents/*");
  await category.selectOption("plans");
  await waitFor("the category", async () => (await found("docs/deep/er/one.md")).category === "plans");
  await page.getByRole("button", { name: "Unpin" }).click();
  await expect(page.getByRole("button", { name: "Pin", exact: true })).toBeVisible();
});

test("what a document is about is written on its page, and shown in the list", async ({ page }) => {
  await openDocument(page, "CLAUDE.md");
  const field = page.getByLabel("What it is about");
  await field.fill("not this");
  await page.keyboard.press("Escape");
  await expect(field).toHaveValue("");
  await field.fill("What Claude is told first");
  await page.keyboard.press("Enter");
  await waitFor("it to be kept", async () => (await found("CLAUDE.md")).description === "What Claude is told first");
  await open(page, "/documents");
  await expect(page.locator(".file", { hasText: "CLAUDE.md" })).toContainText("What Claude is told first");
});

test("a link to another document leads there, in another tab if that is wanted", async ({ page, context }) => {
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  write("docs/links.md", "# Links\n\n[odd](100%.md), [nowhere](#50%) and [the plan](../plans/next.md)\n");
  await openDocument(page, "docs/links.md");
  await page.getByRole("link", { name: "nowhere" }).click();
  const another = context.waitForEvent("page");
  await page.getByRole("link", { name: "the plan" }).click({ modifiers: ["ControlOrMeta"] });
  await expect((await another).locator("#document-title")).toHaveText("plans/next.md");
  await expect(page.locator("#document-title")).toHaveText("docs/links.md");
  expect(errors).toEqual([]);
  await page.getByRole("link", { name: "the plan" }).click();
  await expect(page.locator("#document-title")).toHaveText("plans/next.md");
});

const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'`;

test("hostile names, headings and content: nothing runs, nothing overflows", async ({ page }) => {
  page.on("dialog", () => { throw new Error("a dialog of the browser"); });
  const name = `docs/<img src=x onerror=window.hacked=1>"'&amp; ${"n".repeat(120)}.md`;
  write(name, [`# ${HOSTILE} ${"H".repeat(300)}`, HOSTILE, "[x](javascript:window.hacked=1) <svg onload=window.hacked=1>", "```js\"><script>window.hacked=1</script>",
    "w".repeat(4000), "```", `| ${"t".repeat(500)} | b |`, "|-|-|", "| 1 | 2 |", "\u001b]0;title\u0007\u001b[31mred", "[^<script>]: x", ""].join("\n\n"));
  const document = await found(name);
  await api("PATCH", `/api/documents/${document.id}`, { description: `${HOSTILE} ${"D".repeat(300)}`, pinned: true });
  const task = await api("POST", "/api/tasks", { title: `${HOSTILE} ${"T".repeat(100)}` });
  await api("POST", `/api/documents/${document.id}/references`, { task_id: task.id, start_line: 1, end_line: 3, note: `${HOSTILE} ${"N".repeat(300)}` });
  await page.setViewportSize({ width: 390, height: 844 });
  for (const where of ["/documents", `/documents?q=${encodeURIComponent(HOSTILE.slice(0, 30))}`, `/documents/${document.id}`, `/documents/${document.id}?view=source`]) {
    await open(page, where);
    expect(await page.evaluate(() => window.hacked)).toBeUndefined();
    expect(await page.evaluate(() => document.documentElement.scrollWidth), where).toBeLessThanOrEqual(390);
  }
  await line(page, 1).locator(".no").click();
  await page.keyboard.press("t");
  await expect(page.getByRole("dialog", { name: "Add to a task" })).toBeVisible();
  expect(await page.evaluate(() => [window.hacked, document.documentElement.scrollWidth <= 390])).toEqual([undefined, true]);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await expect(page.getByLabel("Your text")).toHaveValue(/<script>/);
  await page.setViewportSize({ width: 1440, height: 900 });
  await open(page, `/documents/${document.id}`);
  expect(await page.evaluate(() => [window.hacked, document.documentElement.scrollWidth <= 1440])).toEqual([undefined, true]);
});

test("a long document is shown in parts, one that is too large says so", async ({ page }) => {
  write("docs/long.md", `# Long\n\n${Array.from({ length: 390 }, (_, n) => `## Section ${n}\n\n${"Some words of it. ".repeat(40)}\n`).join("\n")}`);
  write("docs/nested.md", ">".repeat(90_000));
  write("docs/huge.md", "x".repeat(5 * 1024 * 1024));
  const long = await openDocument(page, "docs/long.md");
  await expect(page.locator(".pieces")).toContainText("Part 1 of");
  // Who was quicker than the page's script finds the outline where it was left.
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route(/\/document\.js$/, async (route) => { await held; await route.continue(); });
  await page.goto(`/documents/${long.id}`, { waitUntil: "commit" });
  const last = page.getByRole("link", { name: "Section 389", exact: true });
  await last.scrollIntoViewIfNeeded();
  release();
  await expect(page.locator("#outline [aria-current]")).toHaveCount(1);
  await expect(last).toBeInViewport();
  await last.click();
  await expect(page.locator("#lines").getByRole("heading", { name: "Section 389" })).toBeInViewport();
  await page.locator("#lines p").last().click({ clickCount: 3 });
  const lines = (await api("GET", `/api/documents/${long.id}`)).line_count;
  await expect(chosen(page)).toHaveText(`Line ${lines}`);
  for (const [name, said] of [["docs/nested.md", "nested too deep"], ["docs/huge.md", "documents of up to 2097152 bytes are read"]]) {
    const { id } = await openDocument(page, name);
    await expect(page.locator(".paper")).toContainText(said);
    const html = await (await fetch(new URL(`/documents/${id}`, world.url))).text();
    expect(html.length).toBeLessThan(600_000);
  }
});

test("ten thousand documents are a page of some, and a search away from each", async ({ page }) => {
  for (let n = 0; n < 10_000; n++) {
    if (n % 500 === 0) fs.mkdirSync(path.join(world.project, `docs/many/${n / 500}`), { recursive: true });
    fs.writeFileSync(path.join(world.project, `docs/many/${Math.floor(n / 500)}/document-${n}.md`), `# ${n}\n`);
  }
  await waitFor("all of them to be found", async () => (await api("GET", "/api/documents?q=document-9999.md")).length === 1, 60_000);
  const html = await (await fetch(new URL("/documents", world.url))).text();
  expect(html.length).toBeLessThan(400_000);
  await open(page, "/documents");
  await expect(page.locator("#documents")).toContainText("There are more than fit on a page");
  await page.getByLabel("Path or description").fill("document-7777");
  await expect(page.locator(".file")).toHaveCount(1);
  await page.getByLabel("Path or description").fill("");
  await page.getByRole("link", { name: "The next documents" }).click();
  await expect(page).toHaveURL(/cursor=/);
  await expect(page.locator(".file").first()).toBeVisible();
});
