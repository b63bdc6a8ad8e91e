import { defineConfig } from '@playwright/test';

// scripts/browser starts a server and passes its address.
export default defineConfig({
  testDir: '.',
  workers: 1,
  timeout: 120_000,
  // A container may have to start first on a busy machine.
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
