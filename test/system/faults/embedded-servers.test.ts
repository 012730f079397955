/* Servers and commands that share one DATA_DIR with its embedded database. KILLS=2 makes the last test a short one. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { readPid, runsOn } from '../../../src/db/embedded/cluster-state.ts'
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts'
import { headersOf, sendFile, testSecret } from '../../support/tus-file.ts'
import { until } from '../../support/until.ts'

const kills = Number(process.env.KILLS ?? 10)
const tus = { 'tus-resumable': '1.0.0' }

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-servers-'))
  await writeFile(join(folder, 'jwt-secret'), testSecret, { mode: 0o600 })
  onTestFinished(async () => {
    const pid = await postgresOf(folder)
    if (pid !== null) process.kill(pid, 'SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  return folder
}

/** The process id of the Postgres of a DATA_DIR. */
async function postgresOf(folder: string): Promise<number | null> {
  const cluster = join(folder, 'postgres')
  const pid = await readPid(cluster)
  return pid !== null && (await runsOn(pid, cluster)) ? pid : null
}

async function serverOn(folder: string, more: Record<string, string> = {}): Promise<NodeProcess> {
  const environment = { DATA_DIR: folder, LOG_LEVEL: 'warn', LEASE_TTL: '2s', ...more }
  const server = await startNodeProcess({ environment })
  onTestFinished(() => server.kill())
  return server
}

/** The output of a command that runs beside the servers. @throws Error when it fails */
async function commandOn(folder: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, DATA_DIR: folder }
  const options = { env, cwd: folder, maxBuffer: 64 * 1024 ** 2 }
  const { stdout } = await promisify(execFile)(process.execPath, [resolve('dist/landfall.js'), ...args], options)
  return stdout
}

/** The offset of an upload, from any server. */
async function offsetAt(server: NodeProcess, upload: string): Promise<number> {
  const url = new URL(new URL(upload).pathname, server.url)
  const response = await fetch(url, { method: 'HEAD', headers: { ...tus, ...(await headersOf()) } })
  expect(response.status).toBe(200)
  return Number(response.headers.get('upload-offset'))
}

it('servers on one DATA_DIR that start at once, with different TMPDIRs, share it', async () => {
  const folder = await newFolder()
  const otherTmp = join(folder, 'tmp')
  await mkdir(otherTmp)
  const [a, b] = await Promise.all([serverOn(folder), serverOn(folder, { TMPDIR: otherTmp })])

  const first = await sendFile(a.url, Buffer.alloc(1000))
  const second = await sendFile(b.url, Buffer.alloc(2000))
  const offsets = [await offsetAt(b, first), await offsetAt(a, second)]
  const postgres = await postgresOf(folder)
  await a.kill()
  await a.start()
  const laterOffsets = [await offsetAt(a, first), await offsetAt(a, second)]

  expect(offsets).toEqual([1000, 2000])
  expect(laterOffsets).toEqual([1000, 2000])
  expect(await postgresOf(folder)).toBe(postgres)
})

it('a server stops its Postgres when it stops, unless another server uses it', async () => {
  const folder = await newFolder()
  const [a, b] = await Promise.all([serverOn(folder), serverOn(folder)])

  expect(await a.stop()).toBe(0)
  expect(await postgresOf(folder)).not.toBeNull()
  expect(await b.stop()).toBe(0)
  expect(await postgresOf(folder)).toBeNull()
})

it('commands work beside the server, and without it', async () => {
  const folder = await newFolder()
  const server = await serverOn(folder)
  const upload = await sendFile(server.url, Buffer.alloc(1000))
  const landfall = (...args: string[]) => commandOn(folder, ...args)

  expect(await landfall('uploads', 'list')).toContain(upload.split('/').at(-1))
  const postgres = await postgresOf(folder)
  expect(postgres).not.toBeNull()
  expect(await offsetAt(server, upload)).toBe(1000)
  await server.stop()
  expect(await landfall('uploads', 'list')).toContain(upload.split('/').at(-1))
  expect(await postgresOf(folder)).toBeNull()
})

it('a server killed under load loses no upload, and its Postgres stops soon after', {
  timeout: 600_000,
}, async () => {
  const folder = await newFolder()
  const server = await serverOn(folder)
  const sent: string[] = []
  let isOver = false
  const client = async () => {
    while (!isOver) {
      // The client resumes after every kill.
      const retryDelays = Array.from({ length: 400 }, () => 50)
      sent.push(await sendFile(server.url, Buffer.alloc(5000), { retryDelays }))
    }
  }
  const clients = Promise.all(Array.from({ length: 8 }, client))
  let commands = 0
  const operator = async () => {
    while (!isOver) {
      await commandOn(folder, 'uploads', 'list')
      await commandOn(folder, 'sweep', '--dry-run')
      commands += 2
    }
  }
  const operated = operator()

  for (let kill = 0; kill < kills; kill += 1) {
    const before = sent.length
    // A client that fails ends the wait.
    await Promise.race([clients, until(() => sent.length >= before + 20, 300_000)])
    await server.kill()
    await server.start()
  }
  isOver = true
  await Promise.all([clients, operated])
  const offsets = await Promise.all(sent.map((upload) => offsetAt(server, upload)))
  await server.kill()
  const killedAt = performance.now()
  await until(async () => (await postgresOf(folder)) === null)

  expect(sent.length).toBeGreaterThanOrEqual(kills * 20)
  expect(commands).toBeGreaterThan(0)
  expect(new Set(offsets)).toEqual(new Set([5000]))
  console.log(
    `${kills} kills, ${sent.length} uploads, ${commands} commands, Postgres gone after ${Math.round(performance.now() - killedAt)} ms`,
  )
})
