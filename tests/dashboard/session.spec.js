const { execFileSync } = require("node:child_process");
const { test, expect } = require("@playwright/test");
const { api, play, restartServer, waitFor, waitForStatus, world, write } = require("./world");

const code = "//! Adds.\nfn add(a: i32, b: i32) -> i32 {\n    // wrong\n    a - b\n}\n";

/// A session that is idle after its scenario.
async function played(name, scenario, launch = {}) {
  await play(name, scenario, { launch });
  await waitFor(`${name} to have answered`, async () => {
    const session = await api("GET", `/api/sessions/${name}`);
    const said = await api("GET", `/api/sessions/${name}/messages?limit=200`);
    return session.claude_status === "idle" && said.some((m) => m.direction === "assistant");
  }, 60_000);
  return api("GET", `/api/sessions/${name}`);
}

function messages(name) { return api("GET", `/api/sessions/${name}/messages?limit=200`); }

/// Nothing may open a dialog, change the title or load anything from elsewhere.
function watch(page) {
  const seen = [];
  page.on("dialog", (dialog) => { seen.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== world.url && !request.url().startsWith("data:")) seen.push(`request: ${request.url()}`);
  });
  page.on("pageerror", (error) => seen.push(`error: ${error.message}`));
  return seen;
}

async function isHarmless(page, seen) {
  expect(seen).toEqual([]);
  expect(await page.title()).not.toContain("owned");
  expect(await page.evaluate(() => [
    document.querySelectorAll("main script, main iframe, main object").length,
    document.querySelectorAll("main [onerror], main [onload], main [onclick]").length,
    [...document.querySelectorAll("main a[href]")].filter((a) => !["http:", "https:", "mailto:"].includes(a.protocol)).length,
    document.documentElement.scrollWidth > innerWidth,
  ])).toEqual([0, 0, 0, false]);
}

test("a conversation shows words as markdown, and calls folded with their input, result and duration", async ({ page }) => {
  write("notes.rs", code);
  execFileSync("git", ["add", "-A"], { cwd: world.project, env: world.env });
  execFileSync("git", ["commit", "-qm", "Notes"], { cwd: world.project, env: world.env });
  const session = await played("edits", "edits", { permission_mode: "acceptEdits" });
  await page.goto(`/sessions/${session.id}`);
  await expect(page.locator(".said.you").first()).toContainText("scenario:edits please");
  await expect(page.locator(".said.claude ol li")).toHaveText(["read it", "change it"]);
  await expect(page.locator(".said.claude strong", { hasText: "change" })).toBeVisible();
  await expect(page.getByText("The sum is right.")).toBeVisible();
  const edit = page.locator(".turn.call", { hasText: "Edit" });
  await expect(edit.locator(".diff")).toHaveCount(0);
  await edit.locator("summary").click();
  await expect(edit.locator(".diff del", { hasText: "a - b" })).toBeVisible();
  await expect(edit.locator(".diff ins", { hasText: "a + b" })).toBeVisible();
  await expect(edit.locator(".result")).not.toBeEmpty();
  await expect(edit.locator(".turn-end")).toContainText(/\d+ (ms|s)/);
});

test("the header says what the session does, on what evidence, and what it costs", async ({ page }) => {
  await page.goto("/sessions/edits");
  const head = page.locator("#session-head");
  await expect(head.locator("#session-state")).toHaveText("idle");
  await expect(head).toContainText(/state_file|hook|transcript/);
  await expect(head).toContainText(/Cost (about )?\$/);
  await expect(head.getByRole("button", { name: "Copy attach command" })).toHaveAttribute("data-copy", "chorus attach edits");
});

test("nothing that a model, a tool or a file's name says runs in the page", async ({ page }) => {
  const seen = watch(page);
  const session = await played("hostile", "hostile", { allowed_tools: ["Bash"] });
  for (const viewport of [{ width: 1440, height: 900 }, { width: 390, height: 844 }]) {
    await page.setViewportSize(viewport);
    await page.goto(`/sessions/${session.id}`);
    await expect(page.getByText("<script>document.title='owned'</script>").first()).toBeVisible();
    const call = page.locator(".turn.call", { hasText: "Bash" });
    await call.locator("summary").click();
    await expect(call.locator(".result")).toContainText("redlink<script>");
    expect(await call.locator(".result").textContent()).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u0080-\u009f]/);
    await isHarmless(page, seen.filter((s) => !s.includes("/pixel.png")));
    for (const tab of ["terminal", "tools", "changes", "about"]) {
      await page.goto(`/sessions/${session.id}/${tab}`);
      await expect(page.locator("#link")).toHaveText("live");
      if (tab === "changes") await expect(page.getByText("<img src=x onerror=alert(1)>.rs")).toBeVisible();
      if (tab === "terminal") await expect(page.locator(".xterm-rows")).toContainText("onerror=alert(1)");
      await isHarmless(page, seen.filter((s) => !s.includes("/pixel.png")));
    }
  }
});

test("what is written goes to Claude, and its delivery shows", async ({ page }) => {
  await page.goto("/sessions/edits");
  await page.getByLabel("What to tell edits").fill("scenario:echo one\nand a second line");
  await page.keyboard.press("Enter");
  const turn = page.locator(".said.you", { hasText: "and a second line" });
  await expect(turn.locator(".delivery")).toHaveText("delivered");
  await expect(page.locator(".said.claude").last()).toContainText("Heard.");
  await expect(page.getByLabel("What to tell edits")).toHaveValue("");
  expect((await messages("edits")).filter((m) => m.content.includes("second line")).length).toBe(1);
});

test("what cannot be sent says why, and stays in the box", async ({ page }) => {
  await page.goto("/sessions/edits");
  const box = page.getByLabel("What to tell edits");
  await box.fill("/compact");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.locator("#composer [data-outcome]")).toContainText("command of its own");
  await expect(box).toHaveValue("/compact");
  await box.fill("");
});

test("half-typed text survives updates and a reload", async ({ page }) => {
  await page.goto("/sessions/edits");
  const box = page.getByLabel("What to tell edits");
  await box.pressSequentially("half a tho");
  await api("POST", "/api/sessions/edits/send", { text: "scenario:echo meanwhile", queue: true });
  await expect(page.locator(".said.you", { hasText: "meanwhile" })).toBeVisible();
  await expect(box).toHaveValue("half a tho");
  await expect(box).toBeFocused();
  await waitForStatus("edits", "idle");
  await page.reload();
  await expect(box).toHaveValue("half a tho");
  await box.fill("");
});

test("a prompt for a busy Claude is queued and sent when Claude is idle", async ({ page }) => {
  await play("busy", "slow");
  await waitForStatus("busy", "busy");
  await page.goto("/sessions/busy");
  await expect(page.getByRole("button", { name: "Queue", exact: true })).toBeVisible();
  await page.getByLabel("What to tell busy").fill("scenario:echo later");
  await page.keyboard.press("Enter");
  const turn = page.locator(".said.you", { hasText: "echo later" });
  await expect(turn.locator(".delivery")).toHaveText("queued until Claude is idle");
  await expect(turn.locator(".delivery")).toHaveText("delivered", { timeout: 60_000 });
  await waitForStatus("busy", "idle");
});

test("a turn is interrupted", async ({ page }) => {
  await play("cut-off", "slow");
  await waitForStatus("cut-off", "busy");
  await page.goto("/sessions/cut-off");
  await page.getByRole("button", { name: "Interrupt" }).click();
  await expect(page.locator("#session-state")).toHaveText("idle");
  // Claude Code has put the prompt back into its box: it is nobody's draft. By key, twice: one press may be a mistake.
  await api("POST", "/api/sessions/cut-off/send", { text: "scenario:slow again" });
  await expect(page.locator("#session-state")).toHaveText("busy");
  await expect(page.locator(".said.you").last()).toContainText(/delivered\s+scenario:slow again\s*$/);
  await page.keyboard.press("i");
  await expect(page.locator("#polite")).toHaveText("Press again: interrupt Claude");
  await expect(page.locator("#session-state")).toHaveText("busy");
  await expect(page.locator(".said.you").last()).toContainText(/delivered\s+scenario:slow again\s*$/);
  await page.keyboard.press("i");
  await expect(page.locator("#session-state")).toHaveText("idle");
});

test("a request is answered on the session's page, and the call says who approved it", async ({ page }) => {
  await play("asks", "bash");
  await waitForStatus("asks", "waiting");
  await page.goto("/sessions/asks");
  const card = page.locator(".ask");
  await expect(card).toContainText("touch made-by-bash.txt");
  await expect(card.getByRole("button", { name: "Approve" })).toBeInViewport();
  await card.getByRole("button", { name: "Approve" }).click();
  await expect(card).toHaveCount(0);
  const call = page.locator(".turn.call", { hasText: "touch made-by-bash.txt" });
  await expect(call.locator(".decided")).toHaveText("approved at the dashboard");
  await expect(page.getByText("The command finished.")).toBeVisible();
});

test("the end is followed; who reads further up is left alone, and loads what came before", async ({ page }) => {
  await played("many", "many", { allowed_tools: ["Bash"] });
  await waitFor("the last words", async () => (await messages("many")).some((m) => m.content === "All steps are done."), 60_000);
  await page.goto("/sessions/many");
  await expect(page.getByText("All steps are done.")).toBeInViewport();
  await expect(page.locator(".turn")).toHaveCount(40);
  await page.getByRole("button", { name: "Load earlier" }).click();
  await expect(page.locator(".turn", { hasText: "scenario:many please" })).toHaveCount(1);
  await expect(page.getByRole("button", { name: "Load earlier" })).toHaveCount(0);
  const ids = await page.locator(".turn").evaluateAll((turns) => turns.map((t) => t.id));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBe(62);
  // In the order in which it was said, in the middle: nothing moves when something comes.
  await page.getByText("Step 12.", { exact: true }).scrollIntoViewIfNeeded();
  const top = () => page.getByText("Step 12.", { exact: true }).evaluate((e) => e.getBoundingClientRect().top);
  await page.evaluate(() => new Promise(requestAnimationFrame));
  const before = await top();
  await api("POST", "/api/sessions/many/send", { text: "scenario:echo from elsewhere", queue: true });
  await expect(page.locator(".said.you", { hasText: "from elsewhere" })).toHaveCount(1);
  await expect(page.getByRole("button", { name: "New below" })).toBeVisible();
  expect(Math.abs(await top() - before)).toBeLessThan(2);
  await page.getByRole("button", { name: "New below" }).click();
  await expect(page.locator(".said.you", { hasText: "from elsewhere" })).toBeInViewport();
  await waitForStatus("many", "idle");
  await api("POST", "/api/sessions/many/send", { text: "scenario:echo once more", queue: true });
  await expect(page.locator(".said.you", { hasText: "once more" })).toBeInViewport();
});

test("what is opened at the end stays where it is when more is said", async ({ page }) => {
  await played("count", "long", { allowed_tools: ["Bash"] });
  await page.setViewportSize({ width: 1440, height: 500 });
  await page.goto("/sessions/count");
  await expect(page.locator("#link")).toHaveText("live");
  const call = page.locator(".turn.call", { hasText: "seq 1 300" });
  await call.locator("summary").click();
  await expect(call.locator(".result")).toContainText("299");
  await api("POST", "/api/sessions/count/send", { text: "scenario:echo news", queue: true });
  await expect(page.getByRole("button", { name: "New below" })).toBeVisible();
  await expect(call.locator("summary")).toBeInViewport();
  await waitForStatus("count", "idle");
});

test("who reads further up keeps it when more comes at once than is read at a time", async ({ page }) => {
  await page.goto("/sessions/many");
  await expect(page.locator("#link")).toHaveText("live");
  await expect(page.locator(".turn").last()).toBeInViewport();
  const step = page.getByText("Step 20.", { exact: true });
  await step.scrollIntoViewIfNeeded();
  await page.evaluate(() => new Promise(requestAnimationFrame));
  // As after a night: none of what comes is on the page.
  const night = Array.from({ length: 40 }, (_, n) => `<li class="turn said claude" id="night-${n}" data-place="0-m-${n}" data-v="1"><p class="spoken">Night ${n}.</p></li>`);
  await page.route(/part=latest/, (route) => route.fulfill({ contentType: "text/html",
    body: `<p class="earlier"><button type="button" data-earlier="/sessions/many?part=earlier">Load earlier</button></p><ol class="turns">${night.join("")}</ol>` }));
  await api("POST", "/api/sessions/many/send", { text: "scenario:echo in the morning", queue: true });
  await expect(page.getByRole("button", { name: "New below" })).toBeVisible();
  await expect(step).toBeInViewport();
  await page.getByRole("button", { name: "New below" }).click();
  await expect(page.getByText("Night 39.")).toBeInViewport();
  await waitForStatus("many", "idle");
});

test("a call that is opened before the page's scripts are there is filled when they come", async ({ page }) => {
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route(/\/talk\.js$/, async (route) => { await held; await route.continue(); });
  await page.goto("/sessions/many/tools?text=STEP-7", { waitUntil: "commit" });
  await page.locator(".turn.call summary").click();
  await expect(page.locator(".turn.call details")).toHaveAttribute("open");
  release();
  await expect(page.locator(".turn.call .result")).toContainText("step-7");
});

test("what a sub-agent did is inside of the call that began it", async ({ page }) => {
  await played("helper", "agent", { allowed_tools: ["Bash", "Agent"] });
  await page.goto("/sessions/helper");
  const call = page.locator(".turn.call", { hasText: "Look around" });
  await expect(call.locator(".fold.agent")).toBeVisible();
  await expect(page.getByText("Child report.")).toHaveCount(0);
  await call.locator(".fold.agent > summary").click();
  await expect(call.locator(".fold.agent")).toContainText("echo child");
  await expect(call.locator(".fold.agent")).toContainText("Child report.");
  // When it does more, what is open in it stays open.
  const inner = call.locator(".fold.agent .turn.call", { hasText: "echo child" });
  await inner.locator("summary").click();
  await expect(inner.locator(".result")).toContainText("child");
  await page.route(/part=latest/, async (route) => {
    const html = await (await route.fetch()).text();
    await route.fulfill({ contentType: "text/html", body: html.replaceAll('data-v="', 'data-v="one more step, ') });
  });
  const filled = page.waitForResponse(/part=agent/);
  await api("POST", "/api/sessions/helper/send", { text: "scenario:echo go on", queue: true });
  await filled;
  await expect(page.locator(".said.you", { hasText: "go on" })).toBeVisible();
  await expect(call.locator(".fold.agent > .fold-body")).not.toHaveAttribute("aria-busy");
  await expect(inner.locator("details")).toHaveAttribute("open");
  await waitForStatus("helper", "idle");
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("the tool log is searched by tool, status and text", async ({ page }) => {
  await page.goto("/sessions/many/tools");
  await expect(page.locator(".turn.call")).toHaveCount(30);
  await page.getByLabel("Text in the input or the result").fill("STEP-7");
  await page.keyboard.press("Enter");
  await expect(page.locator(".turn.call")).toHaveCount(1);
  await expect(page).toHaveURL(/text=STEP-7/);
  await page.locator(".turn.call summary").click();
  await expect(page.locator(".turn.call .result")).toContainText("step-7");
  await page.getByRole("link", { name: "All" }).click();
  await page.getByLabel("Status").selectOption("error");
  await page.getByRole("button", { name: "Filter" }).click();
  await expect(page.getByText("No call is like that.")).toBeVisible();
  await page.goto("/sessions/edits/tools?tool=Edit");
  await expect(page.locator(".turn.call")).toHaveCount(1);
  await expect(page.locator(".turn.call")).toContainText("notes.rs");
});

test("an open call in the tool log is not loaded again when another one comes", async ({ page }) => {
  await page.goto("/sessions/many/tools");
  await expect(page.locator("#link")).toHaveText("live");
  let loads = 0;
  page.on("request", (request) => { if (request.url().includes("part=call&")) loads += 1; });
  const call = page.locator(".turn.call", { hasText: "echo step-30" });
  await call.locator("summary").click();
  await expect(call.locator(".result")).toContainText("step-30");
  await api("POST", "/api/sessions/many/send", { text: "scenario:bash please", queue: true });
  const later = page.locator(".turn.call", { hasText: "touch made-by-bash.txt" });
  await expect(later.locator(".state")).toHaveText("completed");
  await expect(call.locator(".result")).toContainText("step-30");
  expect(loads).toBe(1);
  await waitForStatus("many", "idle");
});

test("changes show line by line; comments on them go to Claude as one message", async ({ page }) => {
  await page.goto("/sessions/edits/changes");
  const file = page.locator(".file", { hasText: "notes.rs" });
  await expect(file.locator(".pl.removed .src")).toHaveText(["    // wrong", "    a - b"]);
  await expect(file.locator(".pl.added .src")).toHaveText(["    // right", "    a + b"]);
  await expect(file.locator(".hl-comment").first()).toBeVisible();
  await expect(file.locator("summary")).toContainText("+2");
  await file.locator(".pl.added", { hasText: "a + b" }).locator(".no").nth(1).click();
  await page.getByRole("textbox", { name: "Comment" }).fill("Say why.");
  // Neither Escape nor Cancel takes away what was written.
  await page.keyboard.press("Escape");
  await file.locator(".pl.added", { hasText: "a + b" }).locator(".no").nth(1).click();
  await expect(page.getByRole("textbox", { name: "Comment" })).toHaveValue("Say why.");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("Your comment is not kept.")).toBeVisible();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Add comment" }).click();
  await expect(file.locator(".comment")).toContainText("Say why.");
  // The second one by keyboard alone.
  await file.locator(".patch").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("textbox", { name: "Comment" }).fill("Name the module.");
  await page.keyboard.press("Control+Enter");
  await page.reload();
  await expect(page.locator(".review-bar summary")).toHaveText("2 comments");
  await page.getByRole("button", { name: "Send to Claude" }).click();
  await expect(page.locator(".review-bar")).toHaveCount(0);
  const sent = await waitFor("the comments to arrive", async () =>
    (await messages("edits")).filter((m) => m.content.startsWith("Comments on the changes")).find((m) => m.delivery_status === "delivered"));
  expect(sent.content).toContain("1. notes.rs, line 4:\n> +    a + b\n\nSay why.");
  expect(sent.content).toContain("2. notes.rs, lines 1 to 2:\n>  //! Adds.\n>  fn add(a: i32, b: i32) -> i32 {\n\nName the module.");
});

test("a file that is folded stays so when another one comes before it", async ({ page }) => {
  await page.goto("/sessions/edits/changes");
  await expect(page.locator("#link")).toHaveText("live");
  const file = page.locator(".file", { hasText: "notes.rs" });
  await file.locator("summary").click();
  await expect(file).not.toHaveAttribute("open");
  write("aaa.rs", "fn first() {}\n");
  execFileSync("git", ["add", "aaa.rs"], { cwd: world.project, env: world.env });
  await api("POST", "/api/sessions/edits/send", { text: "scenario:echo look again", queue: true });
  await expect(page.locator(".file").first()).toContainText("aaa.rs");
  await expect(page.locator(".file").first()).toHaveAttribute("open");
  await expect(file).not.toHaveAttribute("open");
  await waitForStatus("edits", "idle");
});

test("comments on a plan send Claude back to planning", async ({ page }) => {
  await play("planner", "plan", { launch: { permission_mode: "plan" } });
  await waitForStatus("planner", "waiting");
  await page.goto("/sessions/planner");
  const plan = page.locator(".ask .plan");
  await expect(plan).toContainText("Run the tests");
  await plan.locator("li", { hasText: "Run the tests" }).getByRole("button").click();
  await page.getByRole("textbox", { name: "Comment" }).fill("Write the tests first.");
  await page.getByRole("button", { name: "Add comment" }).click();
  await page.getByRole("button", { name: "Send to Claude" }).click();
  await expect(page.locator(".ask .plan")).toHaveCount(0);
  const [request] = await api("GET", "/api/permissions?session=planner");
  expect(request.verdict).toBe("deny");
  expect(request.message).toContain("> Run the tests\n\nWrite the tests first.");
});

test("a session is paused, resumed, forked and ended from its page", async ({ page }) => {
  await page.goto("/sessions/busy");
  await waitForStatus("busy", "idle");
  const more = page.locator("#more summary");
  await more.click();
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.locator(".toast", { hasText: "Paused." })).toBeVisible();
  await expect(page.locator("#session-state")).toHaveText("stopped");
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page.locator("#session-state")).toHaveText("idle");
  await more.click();
  await page.getByRole("button", { name: "Fork…" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("branched");
  await page.locator("#fork").getByRole("button", { name: "Fork", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("branched");
  await more.click();
  await page.getByRole("button", { name: "End", exact: true }).click();
  await expect(page.getByRole("dialog")).toContainText("End branched?");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("branched");
  await more.click();
  await page.getByRole("button", { name: "End", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
  await expect(page).toHaveURL(`${world.url}/`);
  await waitFor("it to be gone", async () => !(await api("GET", "/api/sessions")).some((s) => s.name === "branched"));
});

test("about says what a session is, and keys lead from tab to tab", async ({ page }) => {
  const session = await api("GET", "/api/sessions/edits");
  await page.goto("/sessions/edits");
  await expect(page.locator("#link")).toHaveText("live");
  await page.locator("#main").focus();
  await page.keyboard.press("5");
  await expect(page).toHaveURL(/\/about$/);
  await expect(page.locator("main")).toContainText(session.id);
  await expect(page.locator("main")).toContainText(session.claude_session_id);
  await expect(page.locator("main")).toContainText("acceptEdits");
  await expect(page.getByRole("heading", { name: "Heard last" })).toBeVisible();
  await expect(page.locator("#link")).toHaveText("live");
  await page.locator("#main").focus();
  await page.keyboard.press("3");
  await expect(page).toHaveURL(/\/tools$/);
});

test("the terminal of a session that has ended says so, and is there again when it goes on", async ({ page }) => {
  await played("shut", "echo");
  await page.goto("/sessions/shut/terminal");
  const state = page.locator("#terminal-state");
  await expect(state).toHaveText("Looking");
  await api("PATCH", "/api/sessions/shut", { status: "completed" });
  await expect(state).toContainText("The terminal has ended");
  await page.reload();
  await expect(state).toHaveText("Claude has no terminal here now.");
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(state).toHaveText("Looking");
});

// Last: it takes the server away.
test("the terminal is live, takes no key before somebody switches to typing, and comes back after the server", async ({ page }) => {
  await played("screen", "echo");
  await page.goto("/sessions/screen/terminal");
  const rows = page.locator(".xterm-rows");
  await expect(rows).toContainText("Heard.");
  await expect(page.locator("#terminal-size")).toHaveText("200 × 50");
  await page.locator("#screen").click();
  await page.keyboard.type("never typed");
  await page.getByRole("switch", { name: "Type in this terminal" }).check();
  await expect(page.locator("#terminal-state")).toContainText("Typing");
  await expect(page.locator("#terminal-size")).not.toHaveText("200 × 50");
  await page.locator("#screen").click();
  await page.keyboard.type("scenario:echo typed here");
  await expect(rows).toContainText("scenario:echo typed here");
  await page.keyboard.press("Enter");
  await waitFor("the typed prompt to arrive", async () => (await messages("screen")).some((m) => m.content === "scenario:echo typed here"));
  expect(JSON.stringify(await messages("screen"))).not.toContain("never typed");
  await page.keyboard.press("Control+Shift+Escape");
  await expect(page.getByRole("switch")).toBeFocused();
  await page.getByRole("switch").uncheck();
  await expect(page.locator("#terminal-state")).toHaveText("Looking");
  await restartServer(async () => {
    await expect(page.locator("#terminal-state")).toContainText("No connection");
  });
  await expect(page.locator("#terminal-state")).toHaveText("Looking");
  await expect(rows).toContainText("typed here");
});
