import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type FaultProxy, randomTroubles, startFaultProxy } from './fault-proxy.ts'
import { seeded } from './seeded.ts'
import { until } from './until.ts'

interface ProxiedServer {
  proxy: FaultProxy
  /** The number of body bytes that reached the server. */
  received: () => number
  post: (size: number, withinMs?: number) => Promise<string>
}

async function start(): Promise<ProxiedServer> {
  let received = 0
  const server = http.createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (received += chunk.length)).on('end', () => response.end('done'))
    request.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const proxy = await startFaultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(async () => {
    await proxy.close()
    server.closeAllConnections()
    server.close()
  })
  return {
    proxy,
    received: () => received,
    post: async (size, withinMs = 30_000) => {
      const signal = AbortSignal.timeout(withinMs)
      const response = await fetch(proxy.endpoint, {
        method: 'POST',
        body: Buffer.alloc(size),
        signal,
        keepalive: false,
      })
      return response.text()
    },
  }
}

describe('a fault proxy', () => {
  it('forwards everything unless it is set to fail', async () => {
    const { proxy, post, received } = await start()

    expect(await post(3_000_000)).toBe('done')
    expect(received()).toBe(3_000_000)
    expect(proxy.counts).toMatchObject({ connections: 1, cuts: 0 })
  })

  it('resets a connection after a number of bytes, which do arrive', async () => {
    const { proxy, post, received } = await start()
    proxy.set({ cutAfterBytes: 500_000 })

    await expect(post(3_000_000)).rejects.toThrow('fetch failed')

    expect(received()).toBeGreaterThan(400_000)
    expect(received()).toBeLessThan(500_000)
    expect(proxy.counts.up).toBe(500_000)
  })

  it('forwards the request and drops the reply', async () => {
    const { proxy, post, received } = await start()
    proxy.set({ dropReply: true })

    await expect(post(1000, 500)).rejects.toThrow('timeout')

    expect(received()).toBe(1000)
  })

  it('forwards nothing as a black hole', async () => {
    const { proxy, post, received } = await start()
    proxy.set({ blackHole: true })

    await expect(post(1000, 500)).rejects.toThrow('timeout')

    expect(received()).toBe(0)
  })

  it('refuses connections, and accepts them again', async () => {
    const { proxy, post } = await start()

    proxy.set({ refuse: true })
    await expect(post(10)).rejects.toThrow('fetch failed')
    proxy.set({})

    expect(await post(10)).toBe('done')
  })

  it('limits the rate, and delays', async () => {
    const { proxy, post } = await start()
    const msToPost = async (size: number) => {
      const startedAt = performance.now()
      await post(size)
      return performance.now() - startedAt
    }

    proxy.set({ rate: 1_000_000 })
    expect(await msToPost(400_000)).toBeGreaterThan(390)
    proxy.set({ latencyMs: 100 })
    expect(await msToPost(10)).toBeGreaterThan(190)
  })

  it('resets open connections', async () => {
    const { proxy, post } = await start()
    proxy.set({ dropReply: true })

    const reply = expect(post(10)).rejects.toThrow('fetch failed')
    await until(() => proxy.counts.swallowed > 0)
    proxy.cutAll()

    await reply
  })

  it('plays the same failures for the same seed, and works afterwards', async () => {
    const { proxy, post } = await start()

    expect([...randomTroubles(seeded('a'), 20_000)]).toEqual([...randomTroubles(seeded('a'), 20_000)])
    expect([...randomTroubles(seeded('a'), 20_000)]).not.toEqual([...randomTroubles(seeded('b'), 20_000)])
    await proxy.play([
      { ms: 20, trouble: { refuse: true } },
      { ms: 20, trouble: { blackHole: true }, cutAll: true },
    ])

    expect(await post(10)).toBe('done')
  })
})
