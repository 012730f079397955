import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { built, serverScript } from '../support/built.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { freshDatabase } from '../support/postgres.ts'
import { startS3StandIn } from '../support/s3-stand-in.ts'
import { headersOf, sendFile, testSecret } from '../support/tus-file.ts'
import { until } from '../support/until.ts'

describe('a server in development mode', () => {
  let server: NodeProcess
  let headers: { authorization: string }
  beforeAll(async () => {
    server = await startNodeProcess()
    headers = await signedIn(server)
  })
  afterAll(() => server.kill())

  it('needs no settings, and prints its URLs', async () => {
    const me = await fetch(`${server.url}/v1/me`, { headers })

    expect(await me.json()).toMatchObject({ user: 'developer', role: 'creator', admin: false })
    expect(server.log()).toMatch(/page +http:\/\/localhost:\d+\/\n/)
    expect(server.log()).toMatch(/tus and RUFH: http:\/\/localhost:\d+\/files\n/)
    expect(server.log()).toMatch(/files +\/.*data/)
    expect(server.log()).toMatch(/database +an embedded Postgres in \/.*data\/postgres/)
    expect(server.log()).toContain('in development mode')
  })

  it('prints a command that sends a file from any folder', async () => {
    const command = /^ *(echo hello .*)$/m.exec(server.log())?.[1] ?? ''

    const { stdout } = await promisify(execFile)('bash', ['-c', command], { cwd: tmpdir() })

    expect(JSON.parse(stdout)).toMatchObject({ filename: 'hello.txt', size: 6, state: 'completed' })
  })

  it('accepts its old tokens after it was killed and restarted', async () => {
    await server.kill()
    await server.start()

    expect((await fetch(`${server.url}/v1/me`, { headers })).status).toBe(200)
  })
})

it('survives an unhandled rejection of a hook, and logs it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-hooks-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const hooks = join(folder, 'hooks.mjs')
  const code = `export default { authorize() { Promise.reject(new Error('forgotten')); return true } }`
  await writeFile(hooks, code)
  const server = await startService({ HOOKS: hooks })
  const headers = await headersOf()

  const list = () => fetch(`${server.url}/v1/uploads`, { headers })
  const statuses = [(await list()).status, (await list()).status]

  expect(statuses).toEqual([200, 200])
  await server.untilLogged(/unhandled rejection/)
  expect(server.log()).toContain('forgotten')
})

describe('a server that gets a signal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'exits with 0 after %s, even while a client keeps its connection',
    async (signal) => {
      const server = await startService()
      const socket = connect(server.port, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => {}).write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n')
      await once(socket, 'data')

      const code = await server.stop(signal)

      expect(code).toBe(0)
      expect(server.log()).toContain('"stopped"')
    },
  )

  it('treats the two signals of one Ctrl-C as one', async () => {
    const server = await startService()

    process.kill(server.pid(), 'SIGINT')
    const code = await server.stop('SIGINT')

    expect(code).toBe(0)
  })

  it('exits at once on a second one that comes a second later', async () => {
    const s3 = await startS3StandIn()
    onTestFinished(() => s3.close())
    const server = await startService({ STORE: 's3', ...s3.settings, DRAIN_TIMEOUT: '10m' })
    const writing = s3.faults.next('PutObject', { hang: true, times: Number.POSITIVE_INFINITY })
    const sent = sendFile(server.url, Buffer.from('hello'), { retryDelays: [] }).catch(() => {})
    await writing.hit
    let code: number | null | undefined
    const ended = server.stop().then((exitCode) => {
      code = exitCode
    })

    await until(() => {
      if (code === undefined) process.kill(server.pid(), 'SIGTERM')
      return code !== undefined
    })
    await Promise.all([ended, sent])

    expect(code).toBe(1)
    expect(server.log()).not.toContain('"stopped"')
  })
})

describe('a server that cannot start', () => {
  it('prints every missing setting of production, and exits with 1', async () => {
    const { code, output } = await runServer({ NODE_ENV: 'production', STORE: 's3', JWT_SECRET: 'short' })

    expect(code).toBe(1)
    for (const name of ['DATABASE_URL', 'JWT_SECRET', 'S3_BUCKET']) {
      expect(output).toContain(`\n  ${name}: `)
    }
    expect(output).not.toContain('    at ')
  })

  it.each([
    ['in development mode', async () => ({})],
    ['with a database elsewhere', production],
  ])('%s prints in one line that its folder cannot be used', async (_, settings) => {
    const { code, output } = await runServer({ ...(await settings()), DATA_DIR: '/dev/null/data', LOG_LEVEL: 'silent' })

    expect(code).toBe(1)
    expect(output).toMatch(
      /^landfall: \/dev\/null\/data(\/files)? is not writable \(ENOTDIR: [^\n]+ set DATA_DIR to a folder\.\n$/,
    )
  })

  it.each(['1', '2'])('with WORKERS=%s prints in one line that its port is in use', async (WORKERS) => {
    const other = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo

    const { code, output } = await runServer({
      ...(await production()),
      HOST: '127.0.0.1',
      PORT: String(port),
      WORKERS,
      LOG_LEVEL: 'silent',
    })

    expect(code).toBe(1)
    expect(output).toBe(`landfall: port ${port} is in use; set PORT or METRICS_PORT to another one\n`)
  })
})

it('reads missing variables from .env', async () => {
  const { code, output } = await runServer({ NODE_ENV: 'production' }, 'NODE_ENV=development\nJWT_SECRET=short\n')

  expect(code).toBe(1)
  expect(output).toContain('DATABASE_URL: is not set')
  expect(output).toContain('JWT_SECRET: expected at least 32 bytes')
})

/** A server with its own database, which ends with the test. */
async function startService(environment: Record<string, string> = {}): Promise<NodeProcess> {
  const database = await freshDatabase({ isMigrated: true })
  onTestFinished(() => database.dispose())
  const server = await startNodeProcess({ environment: { DATABASE_URL: database.url, ...environment } })
  onTestFinished(() => server.kill())
  return server
}

/** The headers of a user who followed the last sign-in link that the server printed. */
async function signedIn(server: NodeProcess): Promise<{ authorization: string }> {
  const code = [...server.log().matchAll(/#code=(\S+)/g)].at(-1)?.[1]
  const response = await fetch(`${server.url}/v1/dev/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
  const { token } = (await response.json()) as { token: string }
  return { authorization: `Bearer ${token}` }
}

/** The settings of production, with an own database. */
async function production(): Promise<Record<string, string>> {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  onTestFinished(dispose)
  return { NODE_ENV: 'production', DATABASE_URL: url, JWT_SECRET: testSecret }
}

async function runServer(env: Record<string, string>, dotEnv = ''): Promise<{ code: number; output: string }> {
  await built('server')
  const cwd = await mkdtemp(join(tmpdir(), 'landfall-serve-'))
  onTestFinished(() => rm(cwd, { recursive: true, force: true }))
  await writeFile(join(cwd, '.env'), dotEnv)
  const child = spawn(process.execPath, [serverScript], { cwd, env: { PATH: process.env.PATH, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}
