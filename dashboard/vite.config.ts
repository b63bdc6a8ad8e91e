import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

/** Writes the list of assets, which the server embeds in its binary. */
function assetList(): Plugin {
  let directory = '';
  return {
    name: 'asset-list',
    apply: 'build',
    configResolved(config) {
      directory = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const names = readdirSync(join(directory, 'assets')).sort();
      const lines = names.map((name) => `    ("${name}", include_bytes!("assets/${name}").as_slice()),\n`);
      writeFileSync(join(directory, 'assets.rs'), `&[\n${lines.join('')}]\n`);
    },
  };
}

export default defineConfig({
  plugins: [assetList()],
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The Content-Security-Policy blocks data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { '^/(ask|asks|task|tasks|session|sessions|stream|usage|health|ready|watch|sandboxes|webhooks|agents)': { target: process.env.RUNNER_URL ?? 'http://127.0.0.1:3456', ws: true } } },
});
