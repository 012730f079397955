/* Clients that misbehave, at a real process: what came of their bytes is kept, and nobody else waits for them. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { NodeProcess } from '../../support/node-process.ts'
import { headOf, openRaw, type RawConnection } from '../../support/raw-http.ts'
import { append, create, expectUnharmed, offsetOf, openServer, patchHeaders, sendAnother } from './server.ts'

const bytes = randomBytes(1_000_000)

/** A PATCH that announces `announced` bytes and brings `brought` of them. */
async function beginPatch(
  server: NodeProcess,
  path: string,
  brought: Buffer,
  announced: number,
): Promise<RawConnection> {
  const connection = await openRaw(server.port)
  const headers = { ...(await patchHeaders(0)), 'content-length': announced }
  await connection.send(headOf({ method: 'PATCH', path, headers }))
  await connection.send(brought)
  return connection
}

describe('a client that misbehaves', () => {
  it('by sending its headers for ever is waited for by nobody', { timeout: 60_000 }, async () => {
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

  it('by falling silent in its body is told to go on later, and every byte is kept', { timeout: 60_000 }, async () => {
    const server = await openServer({ BODY_IDLE_TIMEOUT: '1s' })
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await beginPatch(server, path, bytes.subarray(0, 300_000), bytes.length)
    const answer = await connection.answer()

    expect(answer?.status).toBe(503)
    expect(answer?.headers['retry-after']).toBeDefined()
    expect(answer?.json()).toMatchObject({ error: { code: 'BODY_TIMEOUT' } })
    expect(await offsetOf(server, path)).toBe(300_000)
    expect((await append(server, path, 300_000, bytes.subarray(300_000))).status).toBe(204)
    expectUnharmed(server, pid)
  })

  it('by dripping, when a request may last only so long, is told to go on later', { timeout: 60_000 }, async () => {
    const server = await openServer({ BODY_TIMEOUT: '2s' })
    const path = await create(server, bytes.length)
    const connection = await beginPatch(server, path, bytes.subarray(0, 1000), bytes.length)
    let sent = 1000
    const drip = setInterval(() => void connection.send(bytes.subarray(sent, ++sent)).catch(() => {}), 100)
    onTestFinished(() => clearInterval(drip))

    const answer = await connection.answer()

    expect([answer?.status, answer?.json()]).toMatchObject([503, { error: { code: 'BODY_TIMEOUT' } }])
    const kept = await offsetOf(server, path)
    expect(kept).toBeGreaterThan(1000)
    expect((await append(server, path, kept, bytes.subarray(kept))).status).toBe(204)
  })

  it('many times over, with bodies that stall, does not keep others from their files', {
    timeout: 60_000,
  }, async () => {
    const server = await openServer({ BODY_IDLE_TIMEOUT: '30s', DATABASE_POOL: '2' })
    const stalled: RawConnection[] = []
    for (let count = 0; count < 40; count += 1) {
      stalled.push(await beginPatch(server, await create(server, bytes.length), bytes.subarray(0, 100_000), 500_000))
    }

    const tookMs = await sendAnother(server)

    expect(tookMs).toBeLessThan(5000)
    for (const connection of stalled) connection.cut()
  })

  it('by ending its half of the connection early keeps what it brought', { timeout: 60_000 }, async () => {
    const server = await openServer()
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await beginPatch(server, path, bytes.subarray(0, 200_000), bytes.length)
    connection.socket.end()
    await connection.closed()

    await vi.waitFor(async () => expect(await offsetOf(server, path)).toBe(200_000), 5000)
    expectUnharmed(server, pid)
  })

  it('by vanishing without a word keeps what it brought', { timeout: 60_000 }, async () => {
    const server = await openServer()
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await beginPatch(server, path, bytes.subarray(0, 200_000), bytes.length)
    await new Promise((resolve) => setTimeout(resolve, 200))
    connection.socket.resetAndDestroy()

    await vi.waitFor(async () => expect(await offsetOf(server, path)).toBe(200_000), 5000)
    expectUnharmed(server, pid)
  })

  it('by sending more than it announced adds nothing beyond that', { timeout: 60_000 }, async () => {
    const server = await openServer()
    const pid = server.pid()
    const path = await create(server, bytes.length)

    const connection = await beginPatch(server, path, bytes.subarray(0, 150_000), 100_000)
    // What follows is no request; whether the refusal of that or the answer to the PATCH comes first is chance.
    expect(await connection.until(/HTTP\/1.1 \d{3}/)).toMatch(/^HTTP\/1.1 (204|400)/)

    // A body that the server had not begun to read falls with the connection.
    connection.cut()
    const kept = await vi.waitFor(() => offsetOf(server, path), 5000)
    expect(kept).toBeLessThanOrEqual(100_000)
    expect((await append(server, path, kept, bytes.subarray(kept))).status).toBe(204)
    expectUnharmed(server, pid)
  })
})
