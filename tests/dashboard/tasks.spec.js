const { test, expect } = require("@playwright/test");
const { api, play, screen, waitFor, waitForStatus, write } = require("./world");

const list = (page) => page.locator("#tasks .task");
const titles = (page, expected) => expect(page.locator("#tasks .task .name")).toHaveText(expected);
const make = (title, more = {}) => api("POST", "/api/tasks", { title, ...more });
const task = (id) => api("GET", `/api/tasks/${id}`);
const row = (page, id) => page.locator(`#task-${id}`);

async function open(page, where) {
  await page.goto(where);
  await expect(page.locator("#link")).toHaveText("live");
}

test("create a new task", async ({ page }) => {
  await open(page, "/tasks");
  await expect(page.locator("#tasks")).toContainText("No tasks yet");
  await page.keyboard.press("n");
  const dialog = page.getByRole("dialog", { name: "New task" });
  await dialog.getByLabel("Title").fill("Fix the flaky test");
  await dialog.getByLabel("What is to be done").fill("It fails **on Mondays**.");
  await dialog.getByLabel("Labels").fill("bug, on call");
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(list(page)).toHaveCount(1);
  await expect(list(page).first()).toBeFocused();
  await expect(list(page).first()).toContainText("on call");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/tasks\/1$/);
  await expect(page.locator("#description strong")).toHaveText("on Mondays");
});

test("the address ?new=task opens the dialog, and an error is said beside its field", async ({ page }) => {
  await open(page, "/tasks?new=task");
  const dialog = page.getByRole("dialog", { name: "New task" });
  await dialog.getByLabel("Title").fill("Depends on nothing that is there");
  await dialog.getByText("References, dependencies").click();
  await dialog.getByLabel("Depends on tasks").fill("4711");
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await expect(dialog.getByRole("alert")).toContainText("there is no task 4711");
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/tasks$/);
});

test("a task is made of a template", async ({ page }) => {
  await api("POST", "/api/templates", { name: "review", title: "Review {{what}}", description: "Look at {{what}}.", labels: ["review"] });
  await open(page, "/tasks?new=task");
  const dialog = page.getByRole("dialog", { name: "New task" });
  await dialog.getByLabel("Template").selectOption("review");
  await dialog.getByLabel("what", { exact: true }).fill("the parser");
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.locator("#tasks").getByRole("link", { name: "Review the parser" })).toBeVisible();
});

test("set priority, the task appears in the correct order", async ({ page }) => {
  await open(page, "/tasks");
  const last = row(page, 2);
  await last.focus();
  await page.keyboard.press("p");
  const form = last.getByRole("form", { name: "Edit the task" });
  await expect(form.getByLabel("Priority")).toBeFocused();
  await page.keyboard.type("7");
  // What others do meanwhile takes nothing away from what is being typed.
  await make("Another one meanwhile", { labels: ["later"] });
  await expect(page.getByRole("link", { name: "Another one meanwhile" })).toBeVisible();
  await expect(form.getByLabel("Priority")).toHaveValue("7");
  await page.keyboard.press("Enter");
  await titles(page, ["Review the parser", "Fix the flaky test", "Another one meanwhile"]);
  await expect(last).toBeFocused();
  expect((await task(2)).priority).toBe(7);
});

test("edit a title and labels in place; Escape leaves them as they were", async ({ page }) => {
  await open(page, "/tasks");
  await row(page, 1).dblclick({ position: { x: 5, y: 5 } });
  const form = row(page, 1).getByRole("form");
  await form.getByLabel("Title").fill("Something else");
  await page.keyboard.press("Escape");
  await expect(row(page, 1)).toContainText("Fix the flaky test");
  await page.keyboard.press("l");
  await form.getByLabel("Labels").fill("bug");
  await form.getByLabel("Title").fill("Fix the flaky tests");
  await page.keyboard.press("Enter");
  await expect(row(page, 1)).toContainText("Fix the flaky tests");
  expect((await task(1)).labels).toEqual(["bug"]);
});

test("drag a task to another place, or move it there by key", async ({ page }) => {
  await make("Third");
  await make("Fourth");
  await open(page, "/tasks");
  const order = (rest) => titles(page, ["Review the parser", ...rest]);
  await order(["Fix the flaky tests", "Another one meanwhile", "Third", "Fourth"]);
  await row(page, 5).dragTo(row(page, 1), { targetPosition: { x: 200, y: 3 } });
  await order(["Fourth", "Fix the flaky tests", "Another one meanwhile", "Third"]);
  await waitFor("the order to be kept", async () => {
    const ids = (await api("GET", "/api/tasks")).map((t) => t.id);
    return ids.join() === "2,5,1,3,4";
  });
  await row(page, 3).focus();
  await page.keyboard.press("K");
  await page.keyboard.press("K");
  await waitFor("the order to be kept", async () => (await api("GET", "/api/tasks")).map((t) => t.id).join() === "2,3,5,1,4");
  await expect(row(page, 3)).toBeFocused();
  // Above all others it is as important as the first of them.
  await page.keyboard.press("K");
  await waitFor("the priority to follow", async () => (await task(3)).priority === 7);
  await api("PATCH", "/api/tasks/3", { priority: 0 });
  // On a phone there are neither keys nor a mouse: the same is behind a button.
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.locator("#tasks .task").nth(3)).toHaveId("task-1");
  await row(page, 1).getByRole("button", { name: "Move task 1" }).click();
  await page.getByRole("button", { name: "Up one place" }).click();
  await waitFor("the order to be kept", async () => (await api("GET", "/api/tasks")).map((t) => t.id).join() === "2,3,1,5,4");
  await row(page, 1).getByRole("button", { name: "Move task 1" }).click();
  await page.getByRole("button", { name: "Down one place" }).click();
  await waitFor("the order to be kept", async () => (await api("GET", "/api/tasks")).map((t) => t.id).join() === "2,3,5,1,4");
  await page.setViewportSize({ width: 1440, height: 900 });
  // In another order there is no place to choose.
  await open(page, "/tasks?sort=created_at");
  await row(page, 4).focus();
  await page.keyboard.press("J");
  await expect(page.locator("#toasts")).toContainText("not by hand");
});

test("filter by label, status and order; the address can be shared", async ({ page }) => {
  await open(page, "/tasks");
  await page.getByRole("searchbox", { name: "Label" }).fill("bug");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/label=bug/);
  await titles(page, ["Fix the flaky tests"]);
  await page.getByRole("link", { name: "Show all" }).click();
  await expect(page).toHaveURL(/\/tasks$/);
  await expect(page.locator("#link")).toHaveText("live");
  await page.locator("select[name=sort]").selectOption("created_at");
  await titles(page, ["Fourth", "Third", "Another one meanwhile", "Review the parser", "Fix the flaky tests"]);
  await expect(page.locator("#link")).toHaveText("live");
  await page.locator("select[name=status]").selectOption("completed");
  await expect(page.locator("#tasks")).toContainText("No task is like that");
});

test("assign to session", async ({ page }) => {
  await play("helper", null);
  await waitForStatus("helper", "idle");
  const made = await make("Say hello", { description: "scenario:hello please, and mind the gap" });
  await open(page, `/tasks/${made.id}`);
  await page.getByText("What Claude is told").click();
  await expect(page.getByLabel("The prompt")).toContainText("mind the gap");
  await page.getByRole("button", { name: "Assign…" }).click();
  const dialog = page.getByRole("dialog", { name: `Assign task ${made.id}` });
  await dialog.getByLabel("Session").selectOption("helper");
  await dialog.getByRole("button", { name: "Assign" }).click();
  await expect(page.locator("#about .state").first()).toHaveText("running");
  await expect(page.locator("#about").getByRole("link", { name: "helper" })).toBeVisible();
  await expect(page.locator("#attempt-1")).toContainText("a session that was there");
});

test("the prompt is sent to Claude (visible in tmux)", async ({ page }) => {
  await waitFor("the prompt on the screen", async () => (await screen("helper")).includes("mind the gap"));
  const [made] = await api("GET", "/api/tasks?status=running");
  await open(page, `/tasks/${made.id}`);
  await page.locator("#told-1 summary").click();
  await expect(page.getByLabel("What Claude was told")).toContainText("mind the gap");
});

test("mark task complete", async ({ page }) => {
  await waitForStatus("helper", "idle");
  const [made] = await api("GET", "/api/tasks?status=running");
  await open(page, `/tasks/${made.id}`);
  await page.getByRole("button", { name: "Complete…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What came of it").fill("It said hello.");
  await dialog.getByRole("button", { name: "Complete" }).click();
  await expect(page.locator("#about .state").first()).toHaveText("completed");
  await expect(page.locator("#about .result")).toHaveText("It said hello.");
  await expect(page.getByRole("button", { name: "Start" })).toHaveCount(0);
});

test("task status syncs with session status: dragged to Running it starts, and waits when its Claude does", async ({ page, context }) => {
  const made = await make("Make a file", { description: "scenario:bash please" });
  await open(page, "/tasks?view=board");
  const second = await context.newPage();
  await open(second, `/tasks/${made.id}`);
  const lane = (name) => page.locator(`#lane-${name}`);
  await row(page, made.id).dragTo(lane("running"));
  await expect(lane("running").locator(`#task-${made.id}`)).toBeVisible();
  // Claude asks: the task waits, on the board and in the other tab.
  await expect(lane("waiting").locator(`#task-${made.id}`)).toBeVisible({ timeout: 30_000 });
  await expect(second.locator("#about .state").first()).toHaveText("waiting");
  await expect(second.locator("#about").getByRole("link", { name: "Answer it" })).toBeVisible();
  await expect(second.locator("#work")).toContainText("a session of its own");
  // A move that cannot be says why, and changes nothing.
  await row(page, made.id).dragTo(lane("running"));
  await expect(page.locator("#toasts")).toContainText("waits for an answer");
  expect((await task(made.id)).status).toBe("waiting");
  const [request] = await api("GET", "/api/permissions?status=pending");
  await api("POST", `/api/permissions/${request.id}/respond`, { decision: "allow" });
  await expect(lane("running").locator(`#task-${made.id}`)).toBeVisible();
});

test("mark task failed, by key; retry it", async ({ page }) => {
  const [made] = await api("GET", "/api/tasks?status=running");
  await open(page, "/tasks?view=board");
  await row(page, made.id).focus();
  await page.keyboard.press("m");
  const move = page.getByRole("dialog", { name: `Move task ${made.id}` });
  await expect(move.getByRole("button", { name: "Running: it is there" })).toBeDisabled();
  await move.getByRole("button", { name: "Pending" }).click();
  await expect(move.getByRole("alert")).toContainText("Fail it first");
  await move.getByRole("button", { name: "Failed" }).click();
  const dialog = page.getByRole("dialog", { name: `Give up task ${made.id}` });
  await dialog.getByLabel("Why").fill("Not today.");
  await dialog.getByRole("button", { name: "Fail" }).click();
  await expect(page.locator("#lane-failed").locator(`#task-${made.id}`)).toContainText("Not today.");
  await row(page, made.id).dragTo(page.locator("#lane-pending"));
  await expect(page.locator("#lane-pending").locator(`#task-${made.id}`)).toBeVisible();
});

test("dependencies are added and removed; a queued task says what it waits for", async ({ page }) => {
  const first = await make("First of all");
  const next = await make("Then this");
  await open(page, `/tasks/${next.id}`);
  const form = page.getByRole("form", { name: "Add a dependency" });
  await form.getByRole("combobox").fill(String(first.id));
  await form.getByRole("button", { name: "Add" }).click();
  await expect(page.locator("#needs")).toContainText("First of all");
  await page.getByRole("button", { name: "Queue" }).click();
  await expect(page.locator("#about")).toContainText(`It waits for task ${first.id} (pending)`);
  await page.getByRole("button", { name: "Take out of the queue" }).click();
  await form.getByRole("combobox").fill(String(next.id));
  await form.getByRole("button", { name: "Add" }).click();
  await expect(form.getByRole("alert")).toContainText("wait for one another");
  await page.getByRole("button", { name: `Depend on task ${first.id} no longer` }).click();
  await expect(page.locator("#needs")).toContainText("Nothing.");
});

test("what is half written about a task outlives Escape, and takes nothing of others' away", async ({ page }) => {
  const made = await make("Half written", { description: "As it was." });
  await open(page, `/tasks/${made.id}`);
  await page.keyboard.press("e");
  const dialog = page.getByRole("dialog", { name: `Edit task ${made.id}` });
  await dialog.getByLabel("Title").fill("Wholly written");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await api("PATCH", `/api/tasks/${made.id}`, { description: "As somebody else has it." });
  await page.keyboard.press("e");
  await expect(dialog.getByLabel("Title")).toHaveValue("Wholly written");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("What you have changed is not saved.")).toBeVisible();
  await page.keyboard.press("Escape");
  await api("PATCH", `/api/tasks/${made.id}`, { priority: 3 });
  await expect(page.locator("#about")).toContainText("priority 3");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.locator("#task-title")).toContainText("Wholly written");
  const kept = await task(made.id);
  expect([kept.title, kept.description, kept.priority]).toEqual(["Wholly written", "As somebody else has it.", 3]);
});

test("a task is not started by one press of a key, nor by one that is held", async ({ page }) => {
  const made = await make("Not by chance");
  await open(page, `/tasks/${made.id}`);
  let starts = 0;
  await page.route(/\/start$/, (route) => { starts += 1; return route.fulfill({ status: 200, contentType: "application/json", body: "{}" }); });
  const start = page.getByRole("button", { name: "Start", exact: true });
  await page.keyboard.down("s");
  await page.keyboard.down("s");
  await page.keyboard.up("s");
  await expect(start).toHaveAttribute("data-armed");
  expect(starts).toBe(0);
  await page.keyboard.press("s");
  await expect(page.locator("#toasts")).toContainText("It starts.");
  expect(starts).toBe(1);
});

test("a reference that has drifted shows both versions, and is accepted", async ({ page }) => {
  write("docs/auth.md", "# Auth\n\nThree tries.\n\n## More\n\nSome more text that stays.\n");
  const made = await make("Log in");
  await open(page, `/tasks/${made.id}`);
  const form = page.getByRole("form", { name: "Add a reference" });
  await form.getByLabel("Add a reference").fill("docs/auth.md:1-3");
  await form.getByLabel("Why these lines matter").fill("The rule");
  // Twice, while the first is under way: one reference.
  const first = page.waitForRequest(/references/);
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route(/\/references/, async (route) => { await held; await route.continue(); });
  await form.getByRole("button", { name: "Add" }).click();
  await first;
  await form.getByLabel("Why these lines matter").press("Enter");
  release();
  const reference = page.locator("#references .ref");
  await expect(reference).toContainText("docs/auth.md:1-3");
  await expect(reference).toContainText("The rule");
  write("docs/auth.md", "# Auth\n\nFive tries.\n\n## More\n\nSome more text that stays.\n");
  await expect(reference.locator(".state")).toHaveText("drifted");
  await expect(reference.getByLabel("As it was")).toContainText("Three tries.");
  await expect(reference.getByLabel("As it is now")).toContainText("Five tries.");
  await reference.getByRole("button", { name: "Accept" }).click();
  await expect(reference.locator(".state")).toHaveText("current");
  await reference.getByRole("button", { name: "Remove the reference" }).click();
  await expect(page.locator("#references")).toContainText("None.");
});

test("a task that is not there is said to be gone, with a way on", async ({ page }) => {
  const answer = await page.goto("/tasks/4711");
  expect(answer.status()).toBe(404);
  await expect(page.locator("main")).toContainText("4711");
  await page.getByRole("link", { name: "Tasks" }).click();
  await expect(page.getByRole("heading", { name: "Tasks" })).toBeVisible();
});

const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'{{7*7}}`;

test("hostile titles, labels, notes, descriptions and results: nothing runs, nothing overflows", async ({ page }) => {
  page.on("dialog", () => { throw new Error("a dialog of the browser"); });
  const long = "W".repeat(150);
  write("docs/bad.md", `${HOSTILE}\n${"x".repeat(3000)}\n`);
  const made = await make(`${HOSTILE} ${"W".repeat(90)}`, {
    description: `${HOSTILE}\n\n[x](javascript:window.hacked=1) ![x](javascript:window.hacked=1)\n\n${"y".repeat(2000)}`,
    labels: [HOSTILE.slice(0, 60), "L".repeat(64), "a\u202eb"],
    references: [{ document: "docs/bad.md", start_line: 1, end_line: 2, note: `${HOSTILE}${long}` }],
    priority: 99,
  });
  await waitForStatus("helper", "idle");
  await api("POST", `/api/tasks/${made.id}/assign`, { session_id: "helper" });
  await api("POST", `/api/tasks/${made.id}/fail`, { result: `\u001b]0;x\u0007\u001b[31m${HOSTILE} ${"R".repeat(500)}` });
  await page.setViewportSize({ width: 390, height: 800 });
  for (const where of ["/tasks", "/tasks?view=board", `/tasks/${made.id}`, `/tasks?label=${encodeURIComponent(HOSTILE)}`]) {
    await open(page, where);
    await expect(page.locator("main")).toBeVisible();
    expect(await page.evaluate(() => window.hacked)).toBeUndefined();
    const { wide, seen } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, seen: innerWidth }));
    expect(wide, where).toBeLessThanOrEqual(seen);
  }
  await open(page, "/tasks");
  await row(page, made.id).getByRole("button", { name: "Edit" }).click();
  await expect(row(page, made.id).getByLabel("Title")).toHaveValue(made.title);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await row(page, made.id).getByRole("button", { name: "Save" }).click();
  expect((await task(made.id)).title).toBe(made.title);
});
