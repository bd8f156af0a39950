// The one event stream of this browser: a SharedWorker that hands every event to all tabs.
//
// A browser opens six connections to one server at most, for all its tabs together; this takes one.
// To a tab: {event: {id, kind, data}} for each event, {state: "live" | "away"}, {notice}, {reset: true} when
// something was missed. From a tab, first: {after, kinds, notices, lock}, where `after` is the last event that
// its page can know of, `kinds` are those that there are, and `lock` is the name of a Web Lock it holds for as long as it lives.

// Events that are kept for tabs whose page was rendered a moment ago.
const KEPT = 2000;

const tabs = new Map();
const recent = [];
let source = null;
let wantsNotices = false;
let last = null;
// Unknown until the stream has opened or failed.
let state = null;
let kinds = [];
let retry = null;

function tell(message) {
  for (const port of tabs.keys()) port.postMessage(message);
}

function setState(next) {
  state = next;
  tell({ state });
}

function listen() {
  clearTimeout(retry);
  source?.close();
  wantsNotices = [...tabs.values()].some((tab) => tab.notices);
  const params = new URLSearchParams();
  if (wantsNotices) params.set("notices", "true");
  if (last !== null) params.set("last_event_id", last);
  source = new EventSource(`/api/events?${params}`);
  source.onopen = () => setState("live");
  source.onerror = () => {
    setState("away");
    // The browser tries again by itself, unless the server has refused.
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(listen, 2000);
  };
  for (const kind of kinds) {
    source.addEventListener(kind, ({ data, lastEventId }) => {
      const event = { id: Number(lastEventId), kind, data };
      last = event.id;
      recent.push(event);
      if (recent.length > KEPT) recent.splice(0, recent.length - KEPT);
      tell({ event });
    });
  }
  source.addEventListener("reset", ({ lastEventId }) => {
    last = Number(lastEventId);
    recent.length = 0;
    tell({ reset: true });
  });
  source.addEventListener("notice", ({ data }) => tell({ notice: data }));
}

function join(port, { after, kinds: all, notices, lock }) {
  kinds = all;
  const known = tabs.has(port);
  tabs.set(port, { notices });
  if (!known) {
    // Granted when the tab has gone, however it went.
    navigator.locks?.request(lock, () => leave(port));
    // What happened between the rendering of its page and now.
    if (last !== null && after < last) {
      if (recent.length > 0 && recent[0].id <= after + 1) {
        for (const event of recent) if (event.id > after) port.postMessage({ event });
      } else {
        port.postMessage({ reset: true });
      }
    }
    if (state) port.postMessage({ state });
  }
  last ??= after;
  if (!source || wantsNotices !== [...tabs.values()].some((tab) => tab.notices)) listen();
}

function leave(port) {
  tabs.delete(port);
  if (tabs.size === 0) {
    clearTimeout(retry);
    source?.close();
    source = null;
    state = null;
  } else if (wantsNotices !== [...tabs.values()].some((tab) => tab.notices)) {
    listen();
  }
}

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => (data.leave ? leave(port) : join(port, data));
};
