// The page Now, and the part "Sessions" of the checklist that the dashboard was asked for with.
const { test, expect } = require("@playwright/test");
const { api, play, waitFor, waitForStatus } = require("./world");

const row = (page, name) => page.locator("#sessions .row", { has: page.getByRole("link", { name, exact: true }) });
const card = (page, name) => page.locator(".ask", { has: page.getByRole("link", { name, exact: true }) });

test.beforeEach(async ({ page }) => {
  await page.goto("/");
  await expect(page.locator("#link")).toHaveText("live");
});

test("create new session", async ({ page }) => {
  await page.getByRole("button", { name: "New session" }).click();
  const dialog = page.getByRole("dialog", { name: "New session" });
  await dialog.getByLabel("Name").fill("first");
  await dialog.getByRole("button", { name: "Start Claude" }).click();
  await expect(page).toHaveURL(/\/sessions\/[0-9a-f-]+$/);
});

test("a bad name is refused beside its field, and nothing that was typed is lost", async ({ page }) => {
  await page.getByRole("button", { name: "New session" }).click();
  const dialog = page.getByRole("dialog", { name: "New session" });
  await dialog.getByLabel("What should Claude do?").fill("tidy up");
  await dialog.getByLabel("Name").fill("No Good Name");
  await dialog.getByRole("button", { name: "Start Claude" }).click();
  await expect(dialog.getByRole("alert")).not.toBeEmpty();
  await expect(dialog.getByLabel("What should Claude do?")).toHaveValue("tidy up");
});

test("session appears in the dashboard without a reload", async ({ page }) => {
  await play("second");
  await expect(row(page, "second")).toBeVisible();
});

test("status shows as idle initially", async ({ page }) => {
  await expect(row(page, "second").locator(".state")).toHaveText("idle");
});

test("send a prompt: the status changes to busy, and to idle when Claude has finished", async ({ page }) => {
  await waitForStatus("second", "idle");
  await api("POST", "/api/sessions/second/send", { text: "scenario:slow please" });
  await expect(row(page, "second").locator(".state")).toHaveText("busy");
  await expect(row(page, "second").locator(".state")).toHaveText("idle", { timeout: 40_000 });
  await expect(row(page, "second")).toContainText("This answer is streamed slowly");
});

test("a permission request shows as waiting, in the title too; Approve lets the tool run", async ({ page }) => {
  await play("asks", "bash");
  await expect(card(page, "asks")).toContainText("touch made-by-bash.txt");
  await expect(page).toHaveTitle(/^\(1\) Now/);
  await expect(row(page, "asks").locator(".state")).toHaveText("waiting");
  await card(page, "asks").getByRole("button", { name: "Approve" }).click();
  await expect(card(page, "asks")).toHaveCount(0);
  await expect(page).toHaveTitle(/^Now/);
  await expect(row(page, "asks").locator(".state")).toHaveText("idle");
});

test("Deny with a message tells Claude why", async ({ page }) => {
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  await card(page, "asks").getByLabel("What to tell asks with a denial").fill("use make instead");
  await page.keyboard.press("Enter");
  await expect(card(page, "asks")).toHaveCount(0);
  const [request] = await api("GET", "/api/permissions?session=asks");
  expect(request.verdict).toBe("deny");
  expect(request.message).toBe("use make instead");
  await waitForStatus("asks", "idle");
});

test("a question is answered by its choices", async ({ page }) => {
  await play("which", "ask");
  const question = card(page, "which");
  await question.getByRole("button", { name: "Answer" }).click();
  await expect(question.getByRole("alert")).toHaveText("Every question needs an answer.");
  await question.getByLabel("Blue").check();
  await question.getByRole("button", { name: "Answer" }).click();
  await expect(question).toHaveCount(0);
  await waitForStatus("which", "idle");
});

test("an edit is shown as what would change, and a rule made of it decides the next one", async ({ page }) => {
  await play("writes", "write");
  await expect(card(page, "writes").locator("ins").first()).toContainText("line one");
  await card(page, "writes").getByRole("button", { name: "Always…" }).click();
  const dialog = page.getByRole("dialog", { name: "From now on" });
  await dialog.getByRole("button", { name: "Make the rule" }).click();
  await expect(card(page, "writes")).toHaveCount(0);
  await waitForStatus("writes", "idle");
  expect(await api("GET", "/api/permissions/rules")).toHaveLength(1);
});

test("several requests are decided at once", async ({ page }) => {
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  await api("POST", "/api/sessions/second/send", { text: "scenario:bash please" });
  for (const name of ["asks", "second"]) await card(page, name).getByRole("checkbox").first().check();
  await expect(page.getByText("2 requests chosen")).toBeVisible();
  await page.getByRole("button", { name: "Deny them" }).click();
  await expect(page.locator(".ask")).toHaveCount(0);
  await expect(page.getByText("2 requests chosen")).toBeHidden();
});

test("what is half typed, and the focus, survive what happens meanwhile", async ({ page }) => {
  await waitForStatus("asks", "idle");
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  const field = card(page, "asks").getByLabel("What to tell asks with a denial");
  await field.pressSequentially("half a sen");
  await api("POST", "/api/sessions/which/send", { text: "scenario:bash please" });
  await expect(card(page, "which")).toBeVisible();
  await expect(field).toHaveValue("half a sen");
  await expect(field).toBeFocused();
  await field.pressSequentially("tence");
  await expect(field).toHaveValue("half a sentence");
  for (const name of ["asks", "which"]) await card(page, name).getByRole("button", { name: "Deny", exact: true }).click();
  await expect(page.locator(".ask")).toHaveCount(0);
});

test("all idle sessions are told something at once", async ({ page }) => {
  for (const name of ["asks", "which", "second"]) await waitForStatus(name, "idle");
  await page.getByRole("button", { name: "Tell all idle…" }).click();
  const dialog = page.getByRole("dialog", { name: "Tell all idle sessions" });
  for (const box of await dialog.getByRole("checkbox").all()) await box.uncheck();
  for (const name of ["asks", "which"]) await dialog.getByLabel(name, { exact: true }).check();
  await dialog.getByLabel("What to tell them").fill("scenario:hello please");
  await dialog.getByRole("button", { name: "Send" }).click();
  await expect(dialog).toBeHidden();
  await waitFor("both to have it", async () => {
    const said = await Promise.all(["asks", "which"].map((name) => api("GET", `/api/sessions/${name}/messages?sort=newest&limit=4`)));
    return said.every((list) => list.some((m) => m.content.includes("scenario:hello") && m.delivery_status === "delivered"));
  });
});

test("a turn that failed is shown with what to do", async ({ page }) => {
  await play("fails", "badrequest");
  const problem = page.locator(".problem", { hasText: "fails" });
  await expect(problem).toContainText("scripted bad request");
  await problem.getByRole("link", { name: "Open" }).click();
  await expect(page).toHaveURL(/\/sessions\//);
});

test("a desktop notification appears for a request, once notifications were asked for", async ({ context }) => {
  await context.grantPermissions(["notifications"]);
  const page = await context.newPage();
  // What the browser would show; headless it shows nothing.
  await page.addInitScript(() => {
    window.shown = [];
    window.Notification = class extends EventTarget {
      static permission = "granted";
      static requestPermission() { return Promise.resolve("granted"); }
      constructor(title, options) { super(); window.shown.push({ title, ...options }); }
      close() {}
    };
  });
  await page.goto("/settings/browser");
  await page.getByRole("button", { name: "Turn notifications on" }).click();
  await expect(page.getByRole("button", { name: "Notifications are on" })).toBeVisible();
  await waitForStatus("asks", "idle");
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  await expect(page.locator("#waiting")).toContainText("asks asks for Bash");
  await expect.poll(() => page.evaluate(() => window.shown.map((n) => n.title).join())).toContain("asks");
  await api("POST", "/api/sessions/asks/respond", { decision: "deny" });
  await page.close();
});

test("kill session: it is removed from the dashboard", async ({ page }) => {
  await expect(row(page, "second")).toBeVisible();
  await api("DELETE", "/api/sessions/second");
  await expect(row(page, "second")).toHaveCount(0);
});
