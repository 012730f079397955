import { join } from 'node:path'
import { defineConfig } from 'vite'

// Run with `src/web` as the root. The server's Content-Security-Policy allows no inline scripts or styles.
export default defineConfig({
  // The server may be mounted below any path, which the build does not know.
  base: './',
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    target: 'es2022',
    // Browsers with light-dark() also support :dir(). For older targets :dir() would be compiled into a list of languages, which does not
    // detect the direction of a file name.
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    // A data URL would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { upload: join(import.meta.dirname, 'index.html'), admin: join(import.meta.dirname, 'admin.html') },
    },
  },
})
