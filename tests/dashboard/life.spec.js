// What becomes of a session: started again, taken over, not reached.
const { execFile } = require("node:child_process");
const path = require("node:path");
const { promisify } = require("node:util");
const { test, expect } = require("@playwright/test");
const { api, panePid, play, waitFor, waitForStatus, world } = require("./world");

const run = promisify(execFile);

async function heard(name) {
  return (await api("GET", `/api/sessions/${name}/messages?limit=200`)).some((m) => m.direction === "assistant");
}

async function confirm(page, question, label) {
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText(question);
  await dialog.getByRole("button", { name: label, exact: true }).click();
}

test("a prompt that does not arrive says why, and can be put back into the box", async ({ page }) => {
  await play("stuck", "echo");
  // Before it has taken its first prompt. (A stopped process is no way: tmux lets it go on at once.)
  process.kill(await panePid("stuck"), "SIGKILL");
  await page.goto("/sessions/stuck");
  const turn = page.locator(".said.you", { hasText: "scenario:echo please" });
  await expect(turn.locator(".delivery")).toHaveText("not delivered");
  await expect(turn.locator(".remedy")).toContainText("ended before it took the prompt");
  await turn.getByRole("button", { name: "Put it back into the box" }).click();
  await expect(page.getByLabel("What to tell stuck")).toHaveValue("scenario:echo please");
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page.locator("#session-state")).toHaveText("idle");
  await page.getByLabel("What to tell stuck").press("Enter");
  await expect(page.locator(".said.you .delivery").last()).toHaveText("delivered");
});

test("a session is started again with its conversation, or afresh without it", async ({ page }) => {
  await play("again", "echo");
  await waitFor("its first words", () => heard("again"));
  const before = await waitForStatus("again", "idle");
  const pid = await panePid("again");
  await page.goto("/sessions/again");
  const more = page.locator("#more summary");
  await more.click();
  await page.getByRole("button", { name: "Restart", exact: true }).click();
  await confirm(page, "started again with its conversation", "Restart");
  await expect(page.locator(".toast", { hasText: "It is started again." })).toBeVisible();
  await expect(page.locator("#session-state")).toHaveText("idle");
  const resumed = await waitForStatus("again", "idle");
  expect(resumed.claude_session_id).toBe(before.claude_session_id);
  expect(await panePid("again")).not.toBe(pid);
  await more.click();
  await page.getByRole("button", { name: "Restart afresh" }).click();
  await confirm(page, "remembers nothing", "Restart afresh");
  await expect(page.locator(".toast", { hasText: "It is started afresh." })).toBeVisible();
  await expect(page.locator("#session-state")).toHaveText("idle");
  const fresh = await waitForStatus("again", "idle");
  expect(fresh.claude_session_id).not.toBe(before.claude_session_id);
  // What was said before is still told.
  await page.reload();
  await expect(page.locator(".said.you", { hasText: "scenario:echo please" })).toHaveCount(1);
});

test("a Claude in somebody's own terminal is shown, and taken over", async ({ page }) => {
  const tmux = path.join(world.home, "own.sock");
  await run("tmux", ["-S", tmux, "-f", "/dev/null", "new-session", "-d", "-s", "own", "-x", "120", "-y", "40", "-c", world.project,
    world.env.CHORUS_CLAUDE, "--permission-mode", "default", "--settings", '{"permissions":{"disableAutoMode":"disable"}}',
    "--", "scenario:hello please"], { env: world.env });
  const { name } = await waitFor("it to be listed and idle", async () =>
    (await api("GET", "/api/sessions")).find((s) => s.runtime === "external" && s.claude_status === "idle"));
  await page.goto(`/sessions/${name}`);
  await expect(page.getByText("Hello from the scripted model.")).toBeVisible();
  await page.getByRole("button", { name: "Take over" }).click();
  await confirm(page, "goes on here", "Take over");
  await expect(page.getByRole("button", { name: "Copy attach command" })).toBeVisible();
  await expect(page.locator("#session-state")).toHaveText("idle");
  expect((await api("GET", `/api/sessions/${name}`)).runtime).toBe("tmux");
  await page.getByLabel(`What to tell ${name}`).fill("scenario:echo after it was taken over");
  await page.keyboard.press("Enter");
  await expect(page.locator(".said.you", { hasText: "taken over" }).locator(".delivery")).toHaveText("delivered");
});

test("a session that has ended is found again, with what was said in it", async ({ page }) => {
  await play("over", "echo");
  await waitFor("its first words", () => heard("over"));
  await waitForStatus("over", "idle");
  await page.goto("/");
  await page.getByRole("link", { name: "All sessions" }).click();
  const row = page.getByRole("row", { name: /over/ });
  await expect(row).toContainText("idle");
  await api("DELETE", "/api/sessions/over");
  await expect(row).toContainText("ended");
  await page.keyboard.press("/");
  await page.keyboard.type("OVE");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=OVE/);
  await expect(page.locator("#all-sessions tbody tr")).toHaveCount(1);
  await page.getByRole("link", { name: "over", exact: true }).click();
  await expect(page.locator(".said.you", { hasText: "scenario:echo please" })).toBeVisible();
  await expect(page.locator("#link")).toHaveText("live");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("over");
  await expect(page.getByRole("option", { name: /over.*ended/ })).toBeVisible();
});
