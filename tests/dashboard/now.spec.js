// The page Now, and the part "Sessions" of the checklist that the dashboard was asked for with.
const { test, expect } = require("@playwright/test");
const { api, play, waitFor, waitForStatus } = require("./world");

const row = (page, name) => page.locator("#sessions .row", { has: page.getByRole("link", { name, exact: true }) });
const card = (page, name) => page.locator(".ask", { has: page.getByRole("link", { name, exact: true }) });

/// Denies a request. A card that has moved in that very moment does not take the press: then somebody presses again.
async function deny(card) {
  await expect(async () => {
    if (await card.count() > 0) await card.getByRole("button", { name: "Deny", exact: true }).click({ timeout: 2000 });
    await expect(card).toHaveCount(0, { timeout: 2000 });
  }).toPass({ timeout: 40_000 });
}

test.beforeEach(async ({ page }) => {
  await page.goto("/");
  await expect(page.locator("#link")).toHaveText("live");
});

test("create new session", async ({ page }) => {
  await page.getByRole("button", { name: "New session" }).click();
  const dialog = page.getByRole("dialog", { name: "New session" });
  await dialog.getByLabel("Name").fill("first");
  await dialog.getByLabel("What should Claude do?").fill("scenario:hello please");
  await dialog.getByRole("button", { name: "Start Claude" }).click();
  await expect(page).toHaveURL(/\/sessions\/[0-9a-f-]+$/);
  // What was sent is no draft any more.
  await page.goto("/?new=session");
  await expect(dialog.getByLabel("What should Claude do?")).toHaveValue("");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(page).toHaveURL(/\/$/);
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
  for (const name of ["asks", "which"]) await deny(card(page, name));
  await expect(page.locator(".ask")).toHaveCount(0);
});

test("all idle sessions are told something at once", async ({ page }) => {
  for (const name of ["asks", "which", "second"]) await expect(row(page, name).locator(".state")).toHaveText("idle");
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

test("a key that is held down decides nothing, the second press does", async ({ page }) => {
  for (const name of ["asks", "which"]) {
    await waitForStatus(name, "idle");
    await api("POST", `/api/sessions/${name}/send`, { text: "scenario:bash please" });
    await expect(card(page, name)).toBeVisible();
  }
  const approve = card(page, "asks").getByRole("button", { name: "Approve" });
  await expect(approve).toBeEnabled();
  await card(page, "asks").getByRole("checkbox").focus();
  await page.keyboard.down("a");
  await expect(approve).toHaveAttribute("data-armed");
  for (let n = 0; n < 5; n += 1) await page.keyboard.down("a");
  await page.keyboard.up("a");
  await expect(approve).toHaveAttribute("data-armed");
  expect(await api("GET", "/api/permissions?status=pending")).toHaveLength(2);
  await page.keyboard.press("a");
  await expect(card(page, "asks")).toHaveCount(0);
  // The next one has the focus, and is what the next key means.
  await expect(card(page, "which")).toBeFocused();
});

test("a click meant for a card that has just gone does not hit the one that takes its place", async ({ page }) => {
  await waitForStatus("asks", "idle");
  await expect(card(page, "which")).toBeVisible();
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  await expect(card(page, "asks").getByRole("button", { name: "Approve" })).toBeEnabled();
  // The one above goes; in the same moment somebody presses where its button was.
  const pressed = page.evaluate(() => new Promise((done) => {
    const [upper, lower] = document.querySelectorAll(".ask");
    const place = (card) => card.querySelector("[data-decide=allow]").getBoundingClientRect();
    const { x, y } = place(upper);
    document.addEventListener("chorus:updated", function moved() {
      if (upper.isConnected) return;
      document.removeEventListener("chorus:updated", moved);
      lower.querySelector("[data-decide=allow]").dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 1, clientX: x, clientY: y }));
      done(Math.abs(place(lower).y - y) < 3);
    });
  }));
  await api("POST", "/api/sessions/which/respond", { decision: "deny" });
  expect(await pressed).toBe(true);
  await expect(page.locator("#toasts")).toContainText("press again");
  await expect(card(page, "asks")).toBeVisible();
  await deny(card(page, "asks"));
});

test("why an action failed stays to be read, and is said although what it was about has gone", async ({ page }) => {
  await waitForStatus("asks", "idle");
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  const asks = card(page, "asks");
  // The server refuses, and says so only after somebody else has decided.
  let answer = null;
  await page.route("**/respond", (route) => { answer = () => route.fulfill({ status: 409, json: { detail: "not like this" } }); });
  await asks.getByRole("button", { name: "Approve" }).click();
  await waitFor("the request", () => answer);
  await answer();
  await expect(asks.getByRole("alert")).toHaveText("not like this");
  await waitForStatus("which", "idle");
  await api("POST", "/api/sessions/which/send", { text: "scenario:bash please" });
  await expect(card(page, "which")).toBeVisible();
  await expect(asks.getByRole("alert")).toHaveText("not like this");
  answer = null;
  await asks.getByRole("button", { name: "Approve" }).click();
  await waitFor("the request", () => answer);
  await api("POST", "/api/sessions/asks/respond", { decision: "deny" });
  await expect(asks).toHaveCount(0);
  await answer();
  await expect(page.locator("#toasts")).toContainText("not like this");
  await page.unroute("**/respond");
  await deny(card(page, "which"));
});

test("two quick presses on a slow server send a prompt once, and what is typed meanwhile stays", async ({ page }) => {
  const { id } = await waitForStatus("second", "idle");
  await page.goto(`/sessions/${id}`);
  const box = page.getByLabel("What to tell second");
  let sent = 0;
  let go = null;
  const held = new Promise((done) => { go = done; });
  await page.route("**/send", async (route) => { sent += 1; await held; await route.continue(); });
  await box.fill("scenario:hello once");
  await box.press("Enter");
  await box.press("Enter");
  await box.pressSequentially(" and this later");
  go();
  await expect(box).toHaveValue(" and this later");
  await expect(page.locator(".turn.you", { hasText: "scenario:hello once" })).toHaveCount(1);
  expect(sent).toBe(1);
  await box.fill("");
});

test("a request that comes as another is answered is told of too", async ({ page }) => {
  for (const name of ["asks", "which"]) await waitForStatus(name, "idle");
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  await expect(page.locator("#waiting")).toHaveAttribute("data-count", "1");
  let go = null;
  const held = new Promise((done) => { go = done; });
  await page.route("**/parts/waiting", async (route) => { await held; await route.continue(); });
  await api("POST", "/api/sessions/asks/respond", { decision: "deny" });
  await api("POST", "/api/sessions/which/send", { text: "scenario:bash please" });
  await waitForStatus("which", "waiting");
  go();
  await expect(page.locator("#polite")).toContainText("which asks for Bash");
  await api("POST", "/api/sessions/which/respond", { decision: "deny" });
});

test("what has finished is ended, but nothing that works again", async ({ page }) => {
  await waitForStatus("second", "idle");
  const finished = page.locator("[data-finished]", { hasText: "second" });
  await expect(finished).toBeVisible();
  const others = (await page.locator("[data-finished]").count()) - 1;
  await page.getByRole("button", { name: "End all finished…" }).click();
  await api("POST", "/api/sessions/second/send", { text: "scenario:bash please" });
  await waitForStatus("second", "waiting");
  // The others are needed yet.
  await page.route(/\/api\/sessions\/[^/]+$/, (route) => (route.request().method() === "PATCH" ? route.fulfill({ json: {} }) : route.continue()));
  await page.getByRole("button", { name: "End them" }).click();
  await expect(page.locator("#toasts")).toContainText("second is waiting: its turn is not cut off");
  expect(others).toBeGreaterThan(0);
  expect((await api("GET", "/api/sessions/second")).status).toBe("active");
  await api("POST", "/api/sessions/second/respond", { decision: "deny" });
});

test("the filter stays with who types in it", async ({ page }) => {
  const filter = page.getByLabel("Show sessions with these letters");
  await expect(filter).toBeHidden();
  // As many rows as there are seldom Claudes in a test.
  await page.locator("#sessions .rows").evaluate((list) => {
    for (let n = list.children.length; n < 9; n += 1) list.append(Object.assign(list.firstElementChild.cloneNode(true), { id: `session-${n}` }));
  });
  await filter.fill("which");
  await page.locator("#sessions .row").last().evaluate((row) => row.remove());
  await expect(filter).toBeFocused();
  await filter.blur();
  await expect(filter).toBeVisible();
  await expect(row(page, "second")).toBeHidden();
  await filter.fill("");
  await filter.blur();
  await expect(filter).toBeHidden();
});

test("telling all idle sessions is offered as soon as one is idle, and only then", async ({ page }) => {
  await page.route("**/?part=sessions", (route) => route.abort());
  const tell = page.getByRole("button", { name: "Tell all idle…" });
  await waitForStatus("second", "idle");
  await expect(tell).toBeVisible();
  await page.evaluate(() => document.querySelectorAll("[data-idle]").forEach((row) => row.removeAttribute("data-idle")));
  await expect(tell).toBeHidden();
  await api("POST", "/api/sessions/second/send", { text: "scenario:hello please" });
  await expect(tell).toBeVisible();
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
      constructor(title, options) { super(); window.shown.push(Object.assign(this, { title, ...options })); }
      close() {}
    };
    window.opened = [];
    window.open = (url, name) => { window.opened.push([new URL(url).pathname, name]); };
  });
  await page.goto("/settings/browser");
  await page.getByRole("button", { name: "Turn notifications on" }).click();
  await expect(page.getByRole("button", { name: "Turn notifications off" })).toBeVisible();
  await waitForStatus("asks", "idle");
  await api("POST", "/api/sessions/asks/send", { text: "scenario:bash please" });
  await expect(page.locator("#waiting")).toContainText("asks asks for Bash");
  await expect.poll(() => page.evaluate(() => window.shown.map((n) => n.title).join())).toContain("asks");
  // It leads to the request, in a tab of its own: what this one shows stays.
  await page.evaluate(() => window.shown.at(-1).onclick());
  expect(await page.evaluate(() => window.opened)).toEqual([["/", "chorus-now"]]);
  await expect(page).toHaveURL(/\/settings\/browser$/);
  await api("POST", "/api/sessions/asks/respond", { decision: "deny" });
  await page.close();
});

test("kill session: it is removed from the dashboard", async ({ page }) => {
  await expect(row(page, "second")).toBeVisible();
  await api("DELETE", "/api/sessions/second");
  await expect(row(page, "second")).toHaveCount(0);
});
