import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { signToken } from '../../src/http/identity/secret.ts'
import { type NodeProcess, startNodeProcess } from '../../test/support/node-process.ts'
import { freshDatabase } from '../../test/support/postgres.ts'

/** `development`: as `npm start` runs it. `production`: with a Postgres server. */
export type Mode = 'development' | 'production'

/** One line of the probe. */
export interface Sample {
  rss: number
  /** The longest delay of the event loop, in wall-clock time. */
  delayMs: number
  /** The longest turn of the event loop, in CPU time. */
  busyMs: number
}

/** A server to attack. */
export interface Target {
  mode: Mode
  url: string
  port: number
  /** The Authorization header of a user. */
  authorizationOf(user: string): Promise<string>
  /** The lines of the probe since the last call. */
  samples(): Promise<Sample[]>
  isAlive(): boolean
  stop(): Promise<void>
}

// A heap as in a small container: unbounded growth ends the process.
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
    authorizationOf: async (user) => `Bearer ${await signToken(signing, { id: user, role: 'creator' }, 3600)}`,
    async samples() {
      const lines = (await readFile(probe, 'utf8')).trim().split('\n')
      const added = lines.slice(read).map((line) => JSON.parse(line) as Sample)
      read = lines.length
      return added
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
