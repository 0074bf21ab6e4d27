// How the client is bundled: two pages (the wall, the utility's), the map and the layers in chunks of their own, and the
// API pages' assets, into ../static.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {defineConfig, type Plugin} from 'vite';

const swaggerUi = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/** Puts Swagger UI's two files beside our own `docs/init.js`, so that `/docs` needs no other host. */
function apiPages(): Plugin {
  return {
    name: 'api-pages',
    apply: 'build',
    generateBundle() {
      for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'LICENSE']) {
        this.emitFile({type: 'asset', fileName: `docs/${file}`, source: readFileSync(join(swaggerUi, file))});
      }
    },
  };
}

export default defineConfig({
  base: '/',
  plugins: [apiPages()],
  build: {
    target: 'es2022',
    outDir: '../static',
    emptyOutDir: true,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      input: ['index.html', 'pipes.html'],
      output: {
        manualChunks(id: string) {
          if (id.includes('maplibre-gl')) return 'maplibre';
          if (/deck\.gl|luma\.gl|loaders\.gl|math\.gl|probe\.gl|h3-js/.test(id)) return 'deck';
          return undefined;
        },
      },
    },
  },
});
