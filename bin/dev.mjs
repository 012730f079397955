// `npm run dev`: runs the server from its sources, restarted when they change, and serves the pages with Vite, which updates open pages. Vite
// proxies everything else to the server, so that one address has both.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createServer } from 'vite'

const root = dirname(import.meta.dirname)
const web = join(root, 'src', 'web')
const port = process.env.PORT || '1080'
const target = `http://localhost:${port}`

const vite = await createServer({
  root: web,
  configFile: join(web, 'vite.config.ts'),
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/files', '/api', '/docs', '/health', '/livez', '/readyz'].map((path) => [path, target]),
    ),
  },
})
await vite.listen()
const page = vite.resolvedUrls?.local[0]?.replace(/\/$/, '') ?? target

// Links and the banner use the URL of Vite.
const env = { PUBLIC_URL: page, ...process.env, PORT: port }
const server = spawn(process.execPath, ['--watch', '--watch-preserve-output', 'src/main.ts'], {
  cwd: root,
  env,
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => server.kill(signal))
server.on('exit', (code) => process.exit(code ?? 1))
