import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';
import { mockApi } from './mock/api.mjs';

// The Content-Security-Policy that berthd sends with the portal's pages; the previewed build is held to it as well.
const CSP = "default-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

// `npm run dev` and `vite preview` answer /api/v1 from an in-memory stand-in (or from a real berthd: BERTH_PORTAL=https://localhost:8443).
const portal = process.env.BERTH_PORTAL;
const standIn: Plugin = {
  name: 'berth-mock-api',
  configureServer: (server) => void (portal || server.middlewares.use(mockApi())),
  configurePreviewServer: (server) => {
    server.middlewares.use((_request, response, next) => { response.setHeader('Content-Security-Policy', CSP); next(); });
    server.middlewares.use(mockApi());
  },
};

// Writes FILE.gz and FILE.br beside each text of the build: berthd sends them to browsers that take them.
const compress: Plugin = {
  name: 'berth-compress',
  apply: 'build',
  writeBundle: ({ dir }) => {
    for (const entry of readdirSync(dir!, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      const text = readFileSync(path);
      writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
      writeFileSync(`${path}.br`, brotliCompressSync(text));
    }
  },
};

export default defineConfig({
  plugins: [standIn, compress],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: true },
  server: { proxy: portal ? { '/api': { target: portal, secure: false, headers: { origin: portal } } } : {} },
  test: { environment: 'node', include: ['test/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
