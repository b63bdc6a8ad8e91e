import { defineConfig } from '@playwright/test';

// scripts/browser starts a server and says where it is.
export default defineConfig({
  testDir: '.',
  workers: 1,
  timeout: 120_000,
  // A container may have to start first, on a machine that does other things too.
  expect: { timeout: 20_000 },
  reporter: 'list',
  outputDir: '../../target/browser',
  use: {
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--host-resolver-rules=MAP evil.test 127.0.0.1, MAP rebind.test 127.0.0.1'],
    },
  },
});
