import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { signToken } from '../../src/http/identity/secret.ts'
import { type NodeProcess, startNodeProcess } from '../../test/support/node-process.ts'
import { freshDatabase } from '../../test/support/postgres.ts'

/** `development`: as `npm start` runs it. `production`: on a Postgres of its own. */
export type Mode = 'development' | 'production'

/** What the probe in the server has written. */
export interface Sample {
  rss: number
  /** How long the event loop stood still, on the clock. */
  delayMs: number
  /** Processor time of the longest turn of the event loop. */
  busyMs: number
}

/** A server to attack. */
export interface Target {
  mode: Mode
  url: string
  port: number
  /** The header that says who asks. */
  as(user: string): Promise<string>
  /** What the probe wrote since it was asked last. */
  samples(): Promise<Sample[]>
  isAlive(): boolean
  stop(): Promise<void>
}

// A heap as small containers have it: what grows without bound ends the process and is seen.
const heapMiB = 512
const secret = 'the-secret-of-the-attack-bench-0123456789-abcdef-XYZ'

/** Starts a server in `mode`, with a probe in it. */
export async function startTarget(mode: Mode): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-attack-'))
  const probe = join(folder, 'probe')
  const data = join(folder, 'data')
  const fresh = mode === 'production' ? await freshDatabase() : null
  const server = await startNodeProcess({
    environment: {
      ATTACK_PROBE: probe,
      DATA_DIR: data,
      LOG_LEVEL: 'error',
      ...(fresh && { NODE_ENV: 'production', DATABASE_URL: fresh.url, JWT_SECRET: secret }),
    },
    nodeFlags: [`--max-old-space-size=${heapMiB}`, '--import', resolve('tools/attack/probe.ts')],
  })
  const signing = fresh ? secret : await readFile(join(data, 'jwt-secret'), 'utf8')
  let read = 0
  return {
    mode,
    url: server.url,
    port: server.port,
    as: async (user) => `Bearer ${await signToken(signing, { id: user, role: 'creator' }, 3600)}`,
    async samples() {
      const lines = (await readFile(probe, 'utf8')).trim().split('\n')
      const news = lines.slice(read).map((line) => JSON.parse(line) as Sample)
      read = lines.length
      return news
    },
    isAlive: () => isAlive(server),
    async stop() {
      await server.stop()
      await fresh?.dispose()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function isAlive(server: NodeProcess): boolean {
  try {
    return process.kill(server.pid(), 0)
  } catch {
    return false
  }
}
