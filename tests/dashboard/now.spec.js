const { test, expect } = require("@playwright/test");
const { api, chorus, endServers, play, restartServer, waitFor, waitForStatus } = require("./world");

test.afterAll(endServers);

test("a session that was created appears in the dashboard without a reload", async ({ page }) => {
  await page.goto("/");
  await expect(page.locator("#link")).toHaveText("live");
  await play("first", null);
  await expect(page.locator("#sessions").getByRole("link", { name: "first", exact: true })).toBeVisible();
});

test("its status shows as idle", async ({ page }) => {
  await page.goto("/");
  await expect(page.locator("#sessions .row", { hasText: "first" }).locator(".state")).toHaveText("idle");
});

test("a permission request appears as a card; Approve lets the tool run", async ({ page }) => {
  await page.goto("/");
  await play("asks", "bash");
  const card = page.locator(".ask", { hasText: "asks" });
  await expect(card).toContainText("touch made-by-bash.txt");
  await expect(page).toHaveTitle(/^\(1\) Now/);
  await expect(page.locator("#sessions .row", { hasText: "asks" }).locator(".state")).toHaveText("waiting");
  await card.getByRole("button", { name: "Approve" }).click();
  await expect(card).toHaveCount(0);
  await expect(page).toHaveTitle(/^Now/);
  await waitForStatus("asks", "idle");
});

test("the dashboard says that the server is away, and is right again when it is back", async ({ page }) => {
  await page.goto("/");
  await expect(page.locator("#link")).toHaveText("live");
  await restartServer(async () => {
    await expect(page.locator("#link")).toContainText("away");
  });
  await expect(page.locator("#link")).toHaveText("live");
  await play("later", null);
  await expect(page.locator("#sessions").getByRole("link", { name: "later", exact: true })).toBeVisible();
});
