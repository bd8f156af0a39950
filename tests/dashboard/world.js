// The world that a story in the browser happens in: a server, a project, a real Claude Code and a scripted model, made by
// tests/it/dashboard.rs, which tells of it in CHORUS_WORLD.
const { execFile, spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { promisify } = require("node:util");

const world = JSON.parse(process.env.CHORUS_WORLD ?? "{}");

/// Runs `chorus` as its user would, from the project. Gives what it printed.
async function chorus(...args) {
  const { stdout } = await promisify(execFile)(world.chorus, ["--data-dir", world.data, ...args], { env: world.env, cwd: world.project });
  return stdout;
}

/// A request to the API. Gives the answer's JSON; a refusal is thrown.
async function api(method, where, body) {
  const answer = await fetch(new URL(where, world.url), {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/// Makes a session whose model plays a scenario of the script. Gives the session.
function play(name, scenario, more = {}) {
  return api("POST", "/api/sessions", { name, initial_prompt: scenario ? `scenario:${scenario} please` : undefined, ...more });
}

/// Waits until `look()` gives something, and gives that.
async function waitFor(what, look, limit = 60_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/// Waits until a session's Claude is in a state.
function waitForStatus(name, status) {
  return waitFor(`${name} to be ${status}`, async () => {
    const session = await api("GET", `/api/sessions/${name}`);
    return session.claude_status === status && session;
  });
}

async function tmux(name, command, ...args) {
  const { tmux_session: session } = await api("GET", `/api/sessions/${name}`);
  const whole = ["-S", world.tmux, command, "-p", "-t", `=${session}:`, ...args];
  return (await promisify(execFile)("tmux", whole, { env: world.env })).stdout;
}

/// What is on a session's screen in tmux.
function screen(name) { return tmux(name, "capture-pane"); }

/// The process that a session's pane runs.
async function panePid(name) { return Number(await tmux(name, "display-message", "#{pane_pid}")); }

/// Writes a file of the project.
function write(file, text) {
  const whole = path.join(world.project, file);
  fs.mkdirSync(path.dirname(whole), { recursive: true });
  fs.writeFileSync(whole, text);
}

/// Ends the server as a kill would, and starts it again. `between` happens while it is away.
async function restartServer(between = async () => {}) {
  const { pid } = JSON.parse(fs.readFileSync(path.join(world.data, "server.json"), "utf8"));
  process.kill(pid, "SIGKILL");
  await waitFor("the server to be gone", async () => !fs.existsSync(`/proc/${pid}`) || isZombie(pid));
  await between();
  const port = new URL(world.url).port;
  const server = spawn(world.chorus, ["--data-dir", world.data, "serve", "--port", port], {
    env: world.env, cwd: world.project, stdio: "ignore", detached: true,
  });
  // It outlives the stories, as these may go on in another process; who made the world ends it.
  server.unref();
  await waitFor("the server to answer", async () => {
    try { return (await fetch(new URL("/healthz", world.url))).ok; } catch { return false; }
  });
}

function isZombie(pid) {
  try { return fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop().startsWith("Z"); } catch { return true; }
}

module.exports = { world, chorus, api, play, waitFor, waitForStatus, screen, panePid, write, restartServer };
