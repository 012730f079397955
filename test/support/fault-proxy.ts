import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Seeded } from './seeded.ts'

// A wire that can go bad, between Landfall and S3 or Postgres: TCP, so it knows nothing of what is said on it.

/** How the wire behaves from now on, for open connections as well. Absent: well. */
export interface Trouble {
  /** Each way, for every piece of up to 64 KiB: it slows bulk down too, unlike the stand-in's latency. */
  latencyMs?: number
  /** Bytes a second, each way. */
  rate?: number
  /** Resets a connection once the client has sent so many bytes on it. */
  cutAfterBytes?: number
  /** Takes connections and bytes and gives nothing on, in neither direction. */
  blackHole?: boolean
  /** Resets every new connection. */
  refuse?: boolean
  /** Carries what the client says, swallows what is answered. */
  dropReply?: boolean
}

/** One step of a schedule: this trouble, for so long. */
export interface Spell {
  ms: number
  trouble: Trouble
  /** Cuts every open connection when the spell begins. */
  cutAll?: boolean
}

export interface FaultProxy {
  port: number
  /** `http://127.0.0.1:port` */
  endpoint: string
  /** `url` with host and port of the proxy: for a Postgres URL. */
  inFrontOf(url: string): string
  set(trouble: Trouble): void
  cutAll(): void
  /** Lives through `spells` one after the other, then behaves well again. Ends early when the proxy is closed. */
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

  async function carry(from: net.Socket, to: net.Socket, way: 'up' | 'down'): Promise<void> {
    let carried = 0
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (trouble.latencyMs) await sleep(trouble.latencyMs)
      if (trouble.rate) await sleep((chunk.length / trouble.rate) * 1000)
      if (trouble.blackHole || (way === 'down' && trouble.dropReply)) {
        counts.swallowed += chunk.length
        continue
      }
      const left =
        way === 'up' ? (trouble.cutAfterBytes ?? Number.POSITIVE_INFINITY) - carried : Number.POSITIVE_INFINITY
      const rest = left < chunk.length ? chunk.subarray(0, Math.max(0, left)) : chunk
      carried += rest.length
      counts[way] += rest.length
      const isTaken = rest.length === 0 || to.write(rest)
      if (left <= chunk.length) {
        // What was carried shall arrive: a reset right behind it would throw it away.
        await sleep(20)
        return cut(from, to)
      }
      if (!isTaken && !to.destroyed) await drained(to)
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
    // A reset on one side is a reset on the other, unless nothing shall get through.
    remote.on('error', () => trouble.blackHole || client.resetAndDestroy())
    client.on('error', () => trouble.blackHole || remote.resetAndDestroy())
    carry(client, remote, 'up').catch(() => remote.destroy())
    carry(remote, client, 'down').catch(() => client.destroy())
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
 * Spells of bad weather with fair ones between, `totalMs` together. The same seed makes the same weather.
 * @param kinds what may go wrong; everything unless told
 */
export function* randomTroubles(chance: Seeded, totalMs: number, kinds: Trouble[] = badNetwork): Generator<Spell> {
  for (let passed = 0; passed < totalMs; ) {
    const fair = { ms: chance.int(200, 1500), trouble: {} }
    const bad = { ms: chance.int(50, 800), trouble: chance.pick(kinds), cutAll: chance.chance(0.3) }
    yield fair
    yield bad
    passed += fair.ms + bad.ms
  }
}

const badNetwork: Trouble[] = [
  { latencyMs: 150 },
  { rate: 256 * 1024 },
  { cutAfterBytes: 100_000 },
  { blackHole: true },
  { refuse: true },
  { dropReply: true },
]

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url)
  const usual: Record<string, number> = { 'http:': 80, 'https:': 443, 'postgres:': 5432, 'postgresql:': 5432 }
  return { host: hostname, port: Number(port) || (usual[protocol] ?? 0) }
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
