/* Clients that misbehave, with a server process: the bytes that arrived are kept, and other clients do not wait. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { NodeProcess } from '../../support/node-process.ts'
import { headOf, openRaw, type RawConnection } from '../../support/raw-http.ts'
import { until } from '../../support/until.ts'
import { append, create, expectUnharmed, offsetOf, openServer, patchHeaders, sendAnother } from './server.ts'

const bytes = randomBytes(1_000_000)

/** A PATCH that declares `declared` bytes and sends `sent` of them. */
async function startPatch(server: NodeProcess, path: string, sent: Buffer, declared: number): Promise<RawConnection> {
  const connection = await openRaw(server.port)
  const headers = { ...(await patchHeaders(0)), 'content-length': declared }
  await connection.send(headOf({ method: 'PATCH', path, headers }))
  await connection.send(sent)
  return connection
}

describe('a misbehaving client', () => {
  it('that never ends its headers does not delay others', { timeout: 60_000 }, async () => {
    const server = await openServer({ HEADERS_TIMEOUT: '2s' })
    const pid = server.pid()
    const slow = await Promise.all(Array.from({ length: 100 }, () => openRaw(server.port)))
    for (const connection of slow) await connection.send('PATCH /files/x HTTP/1.1\r\nHost: files.example\r\nX-A')

    const tookMs = await sendAnother(server)

    expect(tookMs).toBeLessThan(5000)
    const answers = await Promise.all(slow.map((connection) => connection.answer()))
    expect(new Set(answers.map((answer) => answer?.status))).toEqual(new Set([408]))
    expectUnharmed(server, pid)
  })

  it('that stalls in its body is asked to resume, and its bytes are kept', { timeout: 60_000 }, async () => {
    const server = await openServer({ BODY_IDLE_TIMEOUT: '1s' })
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await startPatch(server, path, bytes.subarray(0, 300_000), bytes.length)
    const answer = await connection.answer()

    expect(answer?.status).toBe(503)
    expect(answer?.headers['retry-after']).toBeDefined()
    expect(answer?.json()).toMatchObject({ error: { code: 'BODY_TIMEOUT' } })
    expect(await offsetOf(server, path)).toBe(300_000)
    expect((await append(server, path, 300_000, bytes.subarray(300_000))).status).toBe(204)
    expectUnharmed(server, pid)
  })

  it('that sends slowly is asked to resume after BODY_TIMEOUT', { timeout: 60_000 }, async () => {
    const server = await openServer({ BODY_TIMEOUT: '2s' })
    const path = await create(server, bytes.length)
    const connection = await startPatch(server, path, bytes.subarray(0, 1000), bytes.length)
    let sent = 1000
    const drip = setInterval(() => void connection.send(bytes.subarray(sent, ++sent)).catch(() => {}), 100)
    onTestFinished(() => clearInterval(drip))

    const answer = await connection.answer()

    expect([answer?.status, answer?.json()]).toMatchObject([503, { error: { code: 'BODY_TIMEOUT' } }])
    const kept = await offsetOf(server, path)
    expect(kept).toBeGreaterThan(1000)
    expect((await append(server, path, kept, bytes.subarray(kept))).status).toBe(204)
  })

  it('with many stalled bodies does not delay others', {
    timeout: 60_000,
  }, async () => {
    const server = await openServer({ BODY_IDLE_TIMEOUT: '30s', DATABASE_POOL: '2' })
    const stalled: RawConnection[] = []
    for (let count = 0; count < 40; count += 1) {
      stalled.push(await startPatch(server, await create(server, bytes.length), bytes.subarray(0, 100_000), 500_000))
    }

    const tookMs = await sendAnother(server)

    expect(tookMs).toBeLessThan(5000)
    for (const connection of stalled) connection.cut()
  })

  it('that half-closes its connection keeps the bytes it sent', { timeout: 60_000 }, async () => {
    const server = await openServer()
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await startPatch(server, path, bytes.subarray(0, 200_000), bytes.length)
    connection.socket.end()
    await connection.closed()

    await vi.waitFor(async () => expect(await offsetOf(server, path)).toBe(200_000), 5000)
    expectUnharmed(server, pid)
  })

  it('that resets its connection keeps the bytes it sent', { timeout: 60_000 }, async () => {
    const server = await openServer()
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await startPatch(server, path, bytes.subarray(0, 200_000), bytes.length)
    // A reset discards what the server has not read.
    await until(() => hasRead(connection.socket))
    connection.socket.resetAndDestroy()

    await vi.waitFor(async () => expect(await offsetOf(server, path)).toBe(200_000), 5000)
    expectUnharmed(server, pid)
  })

  it('that sends more than it declared adds nothing beyond that', { timeout: 60_000 }, async () => {
    const server = await openServer()
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await startPatch(server, path, bytes.subarray(0, 150_000), 100_000)
    // The extra bytes are not a valid request. Its 400 and the answer to the PATCH come in any order.
    expect(await connection.until(/HTTP\/1.1 \d{3}/)).toMatch(/^HTTP\/1.1 (204|400)/)

    // A body that the server had not started to read is lost with the connection.
    connection.cut()
    const kept = await vi.waitFor(() => offsetOf(server, path), 5000)
    expect(kept).toBeLessThanOrEqual(100_000)
    expect((await append(server, path, kept, bytes.subarray(kept))).status).toBe(204)
    expectUnharmed(server, pid)
  })
})

/** Whether the process at the other end, on this machine, has read everything that was written to `socket`. */
async function hasRead(socket: Socket): Promise<boolean> {
  const portOf = (address = '') => Number.parseInt(address.split(':')[1] ?? '', 16)
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').slice(1)
  const queues = lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote]) =>
      [portOf(local), portOf(remote)].every((port) => port === socket.localPort || port === socket.remotePort),
    )
    .map(([, , , , queued]) => queued)
  return socket.writableLength === 0 && queues.length === 2 && queues.every((queued) => queued === '00000000:00000000')
}
