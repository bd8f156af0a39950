// The part "Real-time" of the checklist: tabs, reconnecting, and the keyboard alone.
const { test, expect } = require("@playwright/test");
const { api, play, restartServer, waitForStatus } = require("./world");

const live = (page) => expect(page.locator("#link")).toHaveText("live");
const card = (page, name) => page.locator(".ask", { has: page.getByRole("link", { name, exact: true }) });

test("a page that was just opened says nothing of a server that is away, and fetches nothing twice", async ({ page }) => {
  await page.addInitScript(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(document.getElementById("link")?.textContent))
      .observe(document, { subtree: true, childList: true, characterData: true });
  });
  const parts = [];
  page.on("request", (request) => { if (/part/.test(request.url())) parts.push(request.url()); });
  await page.goto("/");
  await live(page);
  // What was asked for before has been heard of by then.
  await page.evaluate(() => fetch("/healthz"));
  expect((await page.evaluate(() => window.said)).join()).not.toContain("away");
  expect(parts).toEqual([]);
});

test("without a shared worker: a stream that was refused is tried again, and all tabs say when notifications are off", async ({ context }) => {
  await context.grantPermissions(["notifications"]);
  await context.addInitScript(() => { delete window.SharedWorker; });
  const [one, two] = [await context.newPage(), await context.newPage()];
  let refused = false;
  await two.route("**/api/events?**", (route) => {
    if (refused) return route.continue();
    refused = true;
    return route.fulfill({ status: 503 });
  });
  const streams = [];
  two.on("request", (request) => { if (request.url().includes("/api/events")) streams.push(request.url()); });
  await one.goto("/settings/browser");
  await two.goto("/");
  await live(two);
  expect(refused).toBe(true);
  await one.getByRole("button", { name: "Turn notifications on" }).click();
  await expect.poll(() => streams.at(-1)).toContain("notices=true");
  await one.getByRole("button", { name: "Turn notifications off" }).click();
  await expect.poll(() => streams.at(-1)).not.toContain("notices");
});

test("multiple browser tabs stay in sync", async ({ context }) => {
  const [one, two] = [await context.newPage(), await context.newPage()];
  for (const page of [one, two]) { await page.goto("/"); await live(page); }
  await play("asks", "bash");
  for (const page of [one, two]) await expect(card(page, "asks")).toBeVisible();
  await card(one, "asks").getByRole("button", { name: "Approve" }).click();
  for (const page of [one, two]) {
    await expect(card(page, "asks")).toHaveCount(0);
    await expect(page.locator("#sessions .row").locator(".state")).toHaveText("idle");
  }
});

test("20 tabs in one browser follow, with one stream for all of them", async ({ context }) => {
  const tabs = [];
  for (let n = 0; n < 20; n += 1) {
    const page = await context.newPage();
    await page.goto(n % 2 ? "/" : "/settings/browser");
    tabs.push(page);
  }
  for (const page of tabs) await live(page);
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  for (const page of tabs) await expect(page).toHaveTitle(/^\(1\) /);
  const metrics = await (await fetch(new URL("/metrics", tabs[0].url()))).text();
  const listeners = metrics.split("\n").find((line) => line.startsWith("chorus_event_listeners"));
  expect(listeners).toBe("chorus_event_listeners 1");
  await api("POST", "/api/sessions/asks/respond", { decision: "deny" });
  for (const page of tabs) await expect(page).toHaveTitle(/^[A-Z]/);
});

test("SSE reconnects on disconnect: the page says so, and is right again", async ({ page }) => {
  await page.goto("/");
  await live(page);
  await restartServer(async () => {
    await expect(page.locator("#link")).toContainText("away");
    await expect(page.locator("body")).toHaveClass(/offline/);
  });
  await live(page);
  await play("later");
  await expect(page.locator("#sessions").getByRole("link", { name: "later", exact: true })).toBeVisible();
});

test("the main path by keyboard alone: start a session, approve its request, go to it, tell it something", async ({ page }) => {
  await page.goto("/");
  await live(page);
  await page.keyboard.press("n");
  await expect(page.getByLabel("What should Claude do?")).toBeFocused();
  await page.keyboard.type("scenario:bash please");
  await page.keyboard.press("Tab");
  await page.keyboard.type("by-keys");
  const start = page.getByRole("button", { name: "Start Claude" });
  for (let n = 0; n < 10 && !await start.evaluate((b) => b === document.activeElement); n += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/sessions\//);
  await waitForStatus("by-keys", "waiting");
  await live(page);
  await page.keyboard.press("g");
  await page.keyboard.press("n");
  await expect(page).toHaveURL(/\/$/);
  await live(page);
  // A card that has just come takes no key.
  await expect(card(page, "by-keys").getByRole("button", { name: "Approve" })).toBeEnabled();
  await page.keyboard.press("j");
  await expect(card(page, "by-keys")).toBeFocused();
  await page.keyboard.press("a");
  await expect(card(page, "by-keys").getByRole("button", { name: "Approve" })).toHaveAttribute("data-armed");
  await expect(card(page, "by-keys")).toBeVisible();
  await page.keyboard.press("a");
  await expect(card(page, "by-keys")).toHaveCount(0);
  await waitForStatus("by-keys", "idle");
  // Whoever is quicker than the list means what the list will have.
  let go = null;
  const held = new Promise((done) => { go = done; });
  await page.route("**/api/sessions?limit=100", async (route) => { await held; await route.continue(); });
  await page.keyboard.press("Control+k");
  await page.keyboard.type("by-keys");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("option", { name: /by-keys/ })).toHaveCount(0);
  go();
  await expect(page).toHaveURL(/\/sessions\//);
  await live(page);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeHidden();
});
