import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Seeded } from './seeded.ts'

// A TCP proxy that can fail, between Landfall and S3 or Postgres. It does not parse what it forwards.

/** How the proxy fails from now on, also for open connections. An empty object: not at all. */
export interface Trouble {
  /** The delay in each direction, for every chunk of up to 64 KiB: unlike the stand-in's latency it also slows bulk transfers. */
  latencyMs?: number
  /** Bytes a second, in each direction. */
  rate?: number
  /** Resets a connection once the client has sent so many bytes on it. */
  cutAfterBytes?: number
  /** Accepts connections and bytes and forwards nothing, in either direction. */
  blackHole?: boolean
  /** Resets every new connection. */
  refuse?: boolean
  /** Forwards requests and drops the replies. */
  dropReply?: boolean
}

/** One step of a schedule: how the proxy fails, and how long. */
export interface Spell {
  ms: number
  trouble: Trouble
  /** Resets every open connection at the start of the step. */
  cutAll?: boolean
}

export interface FaultProxy {
  port: number
  /** `http://127.0.0.1:port` */
  endpoint: string
  /** `url` with the host and port of the proxy, for a Postgres URL. */
  inFrontOf(url: string): string
  set(trouble: Trouble): void
  cutAll(): void
  /** Runs `spells` one after another, then stops failing. Ends early when the proxy is closed. */
  play(spells: Iterable<Spell>): Promise<void>
  counts: { connections: number; up: number; down: number; swallowed: number; cuts: number }
  close(): Promise<void>
}

/** Starts a proxy to `upstream`: a URL, or host and port. */
export async function startFaultProxy(upstream: string | { host: string; port: number }): Promise<FaultProxy> {
  const target = typeof upstream === 'string' ? addressOf(upstream) : upstream
  const counts = { connections: 0, up: 0, down: 0, swallowed: 0, cuts: 0 }
  const open = new Set<net.Socket>()
  const closing = new AbortController()
  let trouble: Trouble = {}

  const cut = (...sockets: net.Socket[]): void => {
    counts.cuts++
    for (const socket of sockets) socket.resetAndDestroy()
  }

  async function forward(from: net.Socket, to: net.Socket, direction: 'up' | 'down'): Promise<void> {
    let forwarded = 0
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (trouble.latencyMs) await sleep(trouble.latencyMs)
      if (trouble.rate) await sleep((chunk.length / trouble.rate) * 1000)
      if (trouble.blackHole || (direction === 'down' && trouble.dropReply)) {
        counts.swallowed += chunk.length
        continue
      }
      const remaining =
        direction === 'up' ? (trouble.cutAfterBytes ?? Number.POSITIVE_INFINITY) - forwarded : Number.POSITIVE_INFINITY
      const allowed = remaining < chunk.length ? chunk.subarray(0, Math.max(0, remaining)) : chunk
      forwarded += allowed.length
      counts[direction] += allowed.length
      const hasCapacity = allowed.length === 0 || to.write(allowed)
      if (remaining <= chunk.length) {
        // A reset right after the bytes would discard them, and forwarded bytes must arrive.
        await sleep(20)
        return cut(from, to)
      }
      if (!hasCapacity && !to.destroyed) await drained(to)
    }
    if (!trouble.blackHole) to.end()
  }

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    counts.connections++
    client.on('error', () => {})
    if (trouble.refuse) return void client.resetAndDestroy()
    const remote = net.connect({ ...target, allowHalfOpen: true, noDelay: true })
    for (const socket of [client, remote]) {
      open.add(socket)
      socket.on('close', () => open.delete(socket))
    }
    // A reset on one side resets the other, unless the proxy is a black hole.
    remote.on('error', () => trouble.blackHole || client.resetAndDestroy())
    client.on('error', () => trouble.blackHole || remote.resetAndDestroy())
    forward(client, remote, 'up').catch(() => remote.destroy())
    forward(remote, client, 'down').catch(() => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
  const { port } = server.address() as net.AddressInfo

  const proxy: FaultProxy = {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    inFrontOf(url) {
      const changed = new URL(url)
      changed.hostname = '127.0.0.1'
      changed.port = String(port)
      return changed.href
    },
    set(next) {
      trouble = next
    },
    cutAll: () => cut(...open),
    async play(spells) {
      try {
        for (const spell of spells) {
          trouble = spell.trouble
          if (spell.cutAll) proxy.cutAll()
          await sleep(spell.ms, undefined, { signal: closing.signal })
        }
      } catch (thrown) {
        if (!closing.signal.aborted) throw thrown
      } finally {
        trouble = {}
      }
    },
    counts,
    close() {
      closing.abort()
      for (const socket of open) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return proxy
}

/**
 * Failing steps with working ones between, `totalMs` together. The same seed gives the same steps.
 * @param kinds how the proxy may fail; by default in every way
 */
export function* randomTroubles(random: Seeded, totalMs: number, kinds: Trouble[] = allTroubles): Generator<Spell> {
  for (let passed = 0; passed < totalMs; ) {
    const working = { ms: random.int(200, 1500), trouble: {} }
    const failing = { ms: random.int(50, 800), trouble: random.pick(kinds), cutAll: random.chance(0.3) }
    yield working
    yield failing
    passed += working.ms + failing.ms
  }
}

const allTroubles: Trouble[] = [
  { latencyMs: 150 },
  { rate: 256 * 1024 },
  { cutAfterBytes: 100_000 },
  { blackHole: true },
  { refuse: true },
  { dropReply: true },
]

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url)
  const defaultPorts: Record<string, number> = { 'http:': 80, 'https:': 443, 'postgres:': 5432, 'postgresql:': 5432 }
  return { host: hostname, port: Number(port) || (defaultPorts[protocol] ?? 0) }
}

function drained(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}
