import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { headersOf, sendFile, testSecret } from '../../support/tus-file.ts'

/** A server process with a new database and files in a temporary directory, unless `environment` names others. */
export async function openServer(environment: Record<string, string> = {}): Promise<NodeProcess> {
  const database = environment.DATABASE_URL ? null : await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-faults-'))
  const server = await startNodeProcess({
    environment: {
      DATA_DIR: directory,
      JWT_SECRET: testSecret,
      LOG_LEVEL: 'warn',
      PART_SIZE: '256KiB',
      DATABASE_TIMEOUT: '1s',
      LEASE_TTL: '3s',
      ...(database && { DATABASE_URL: database.url }),
      ...environment,
    },
  })
  onTestFinished(async () => {
    await server.kill()
    await database?.dispose()
    await rm(directory, { recursive: true, force: true })
  })
  return server
}

/** Sends a creation request. */
export async function tryToCreate(server: NodeProcess, size: number): Promise<Response> {
  return fetch(`${server.url}/files`, {
    method: 'POST',
    headers: { 'tus-resumable': '1.0.0', 'upload-length': String(size), ...(await headersOf()) },
  })
}

/** Creates an upload and returns its path. */
export async function create(server: NodeProcess, size: number): Promise<string> {
  const response = await tryToCreate(server, size)
  expect(response.status).toBe(201)
  return response.headers.get('location')!
}

/** Sends one PATCH from `offset`. */
export async function append(server: NodeProcess, path: string, offset: number, bytes: Buffer): Promise<Response> {
  return fetch(server.url + path, { method: 'PATCH', headers: await patchHeaders(offset), body: bytes as never })
}

/** The headers of a PATCH, for raw connections. */
export async function patchHeaders(offset: number): Promise<Record<string, string>> {
  return {
    'tus-resumable': '1.0.0',
    'content-type': 'application/offset+octet-stream',
    'upload-offset': String(offset),
    ...(await headersOf()),
  }
}

/** The offset of an upload. */
export async function offsetOf(server: NodeProcess, path: string): Promise<number> {
  const response = await fetch(server.url + path, {
    method: 'HEAD',
    headers: { 'tus-resumable': '1.0.0', ...(await headersOf()) },
  })
  expect(response.status).toBe(200)
  return Number(response.headers.get('upload-offset'))
}

/** The status of `/readyz`. */
export async function readiness(server: NodeProcess): Promise<number> {
  return (await fetch(`${server.url}/readyz`)).status
}

/** Milliseconds that another upload takes. */
export async function sendAnother(server: NodeProcess, size = 1_000_000): Promise<number> {
  const before = performance.now()
  await sendFile(server.url, randomBytes(size), { retryDelays: null })
  return performance.now() - before
}

/** Checks that the server is still the same process and logged no unexpected errors. */
export function expectUnharmed(server: NodeProcess, pid: number): void {
  expect(server.pid()).toBe(pid)
  expect(process.kill(pid, 0)).toBe(true)
  expect(server.log()).not.toMatch(/unhandled|uncaught|INTERNAL_ERROR|TypeError/i)
}
