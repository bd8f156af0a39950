// One server for a whole file of stories, which are told in their order: see tests/it/dashboard.rs.
const { defineConfig } = require("@playwright/test");
const { world } = require("./world");

module.exports = defineConfig({
  testDir: __dirname,
  fullyParallel: false,
  workers: 1,
  timeout: 150_000,
  globalTimeout: 480_000,
  expect: { timeout: 40_000 },
  reporter: "line",
  forbidOnly: true,
  use: {
    baseURL: world.url,
    viewport: { width: 1440, height: 900 },
    launchOptions: {
      executablePath: world.chromium,
      // As root there is no sandbox; nothing but loopback is talked to.
      args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
    },
  },
});
