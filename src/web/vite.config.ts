import { join } from 'node:path'
import { defineConfig } from 'vite'

// Run with `src/web` as the root. The server sends the result under a policy that allows no inline script or style.
export default defineConfig({
  // The server may be mounted below any path, which the build does not know.
  base: './',
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    target: 'es2022',
    // What knows light-dark() knows :dir(), which would be made a list of languages for older browsers: then no name from the right
    // is told by its letters.
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    // A data URL instead of a file would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { upload: join(import.meta.dirname, 'index.html'), admin: join(import.meta.dirname, 'admin.html') },
    },
  },
})
