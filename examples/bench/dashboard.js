// Drives Chromium for dashboard.rs. Is told a line of JSON, and answers with one; tells of each new card by itself.
const readline = require("node:readline");
const { chromium } = require("@playwright/test");

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const tabs = [];
  for (let n = 0; n < Number(process.env.TABS); n += 1) {
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.text().startsWith("{")) say(JSON.parse(message.text()));
    });
    await page.goto(process.env.URL, { waitUntil: "domcontentloaded" });
    await page.waitForFunction(() => document.getElementById("link").textContent === "live");
    await page.evaluate(async () => {
      // The time is taken when the card is in the document.
      const seen = new Set();
      new MutationObserver(() => {
        const at = performance.timeOrigin + performance.now();
        for (const card of document.querySelectorAll(".ask")) {
          if (seen.has(card.id)) continue;
          seen.add(card.id);
          console.log(JSON.stringify({ card: card.dataset.permission, at }));
        }
      }).observe(document.body, { childList: true, subtree: true });
      const script = document.querySelector('script[src$="/js/chorus.js"]').src;
      const { onEvent } = await import(new URL("live.js", script).href);
      window.heard = 0;
      onEvent(({ kind }) => { if (kind === "tool_use") window.heard += 1; });
    });
    tabs.push(page);
  }
  say({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const what = JSON.parse(line);
    if (what.end) break;
    if (what.heard) say({ heard: await Promise.all(tabs.map((tab) => tab.evaluate(() => window.heard))) });
    if (what.paint) {
      const page = await context.newPage();
      await page.goto(process.env.URL, { waitUntil: "load" });
      await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
      say(await page.evaluate(() => ({
        paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        bytes: performance.getEntriesByType("navigation")[0].decodedBodySize,
      })));
      await page.close();
    }
    if (what.compare) {
      const same = await Promise.all(tabs.map((tab) => tab.evaluate(async () => {
        const text = (root) => [...root.querySelectorAll(".row")].map((row) => {
          const copy = row.cloneNode(true);
          copy.querySelectorAll("time").forEach((time) => time.replaceWith(time.dateTime));
          return copy.outerHTML.replace(/ tabindex="-1"/g, "");
        }).join("\n");
        const fresh = document.createElement("template");
        fresh.innerHTML = await (await fetch("/?part=sessions")).text();
        return text(fresh.content) === text(document.getElementById("sessions"));
      })));
      say({ same: same.every(Boolean) });
    }
    if (what.heap) {
      let most = 0;
      for (const tab of tabs) {
        const client = await context.newCDPSession(tab);
        await client.send("HeapProfiler.collectGarbage");
        most = Math.max(most, (await client.send("Runtime.getHeapUsage")).usedSize);
      }
      say({ heap: most });
    }
  }
  await browser.close();
}

main();
