// Whatever comes from a model, a tool, a file's name or a person is shown as the text it is: no script runs, no dialog
// opens, nothing overflows. (A session's own page has its story in session.spec.js, tasks and documents in theirs.)
const { test, expect } = require("@playwright/test");
const { api, play } = require("./world");

const NASTY = "\"><img src=x onerror=\"window.owned=10\"><script>window.owned=11</script>";
const LONG = "a".repeat(180);

test.beforeEach(async ({ page }) => {
  page.on("dialog", (dialog) => { throw new Error(`a dialog: ${dialog.message()}`); });
});

/// Nothing of what was shown has become more than text.
async function harmless(page) {
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: 844 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), `no overflow at ${width}`).toBeLessThanOrEqual(0);
  }
  expect(await page.evaluate(() => window.owned)).toBeUndefined();
  await expect(page.locator('img[src="x"], [onerror], [onload], main script')).toHaveCount(0);
}

test("a model's words, in the list of sessions and among what is finished", async ({ page }) => {
  await play("says", "hello");
  await page.goto("/");
  await expect(page.locator("#finished-title")).toBeVisible();
  await expect(page.locator("#sessions .row")).toContainText("<img src=x");
  await harmless(page);
});

test("a link that a model wrote is followed by nobody who only opens a row, and opens beside the page", async ({ page }) => {
  const { id } = await play("links", "link");
  await page.goto(`/sessions/${id}`);
  const link = page.getByRole("link", { name: "look here" });
  await expect(link).toHaveAttribute("target", "_blank");
  await expect(link).toHaveAttribute("rel", /noopener/);
  await link.evaluate((a) => a.addEventListener("click", (event) => { event.preventDefault(); window.followed = true; }));
  await page.locator(".turn", { has: link }).evaluate((turn) => { turn.tabIndex = -1; turn.focus(); });
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => window.followed)).toBeUndefined();
});

for (const [name, scenario, shown] of [
  ["a command and its description", "command", "</pre><img src=x"],
  ["a file's name and its content", "file", "<svg onload="],
  ["a question and its choices", "question", "<img src=x onerror="],
]) {
  test(name, async ({ page }) => {
    await play(scenario, scenario);
    await page.goto("/");
    const card = page.locator(".ask");
    await expect(card).toContainText(shown);
    await harmless(page);
    await api("POST", `/api/sessions/${scenario}/respond`, { decision: "deny", message: NASTY + LONG });
    await expect(card).toHaveCount(0);
    await harmless(page);
  });
}

test("a question whose text is hostile can be answered", async ({ page }) => {
  await play("again", "question");
  await page.goto("/");
  await page.locator(".ask").getByLabel("plain").check();
  await page.locator(".ask").getByRole("button", { name: "Answer" }).click();
  await expect(page.locator(".ask")).toHaveCount(0);
});

test("a project's name, a rule and its note, in the settings", async ({ page }) => {
  const [project] = await api("GET", "/api/projects");
  await api("PATCH", `/api/projects/${project.id}`, { name: NASTY });
  await api("POST", "/api/permissions/rules", { action: "deny", tool: "Bash", command: `${NASTY} *`, note: NASTY + LONG });
  await page.goto("/settings/projects");
  await expect(page.getByLabel(`Name of ${NASTY}`)).toHaveValue(NASTY);
  await harmless(page);
  await page.goto("/settings/rules");
  await expect(page.locator("main")).toContainText(NASTY);
  await harmless(page);
});

test("the palette and the line that says what waits", async ({ page }) => {
  await play("waits", "command");
  await api("POST", "/api/tasks", { title: NASTY });
  await page.goto("/activity");
  await expect(page.locator("#waiting")).toContainText("waits");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("img");
  await expect(page.getByRole("option").first()).toContainText("<img src=x");
  await harmless(page);
});
