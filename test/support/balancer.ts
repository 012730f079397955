import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Balancer {
  url: string
  close(): void
}

const checkEveryMs = 200
const checkTimeoutMs = 1000

/**
 * Starts a load balancer. It checks every server's `/readyz` a few times a second and forwards each request to the next ready server.
 * When no server is ready, or the server closes its connection, it closes the client's connection.
 */
export async function startBalancer(servers: { url: string }[]): Promise<Balancer> {
  const ready = new Set<string>()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  let turn = 0

  const check = async ({ url }: { url: string }) => {
    const isReady = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(checkTimeoutMs) }).then(
      (response) => response.ok,
      () => false,
    )
    if (isReady) ready.add(url)
    else ready.delete(url)
  }
  await Promise.all(servers.map(check))
  const timer = setInterval(() => void Promise.all(servers.map(check)), checkEveryMs)

  const front = createServer((incoming, outgoing) => {
    turn += 1
    const [url] = [...ready].slice(turn % Math.max(1, ready.size))
    if (url === undefined) return void incoming.socket.destroy()
    const { method, headers } = incoming
    const forwarded = request(url + incoming.url, { method, headers, agent })
    forwarded.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
      answer.on('error', () => outgoing.destroy())
    })
    forwarded.on('error', () => incoming.socket.destroy())
    incoming.on('error', () => forwarded.destroy())
    incoming.pipe(forwarded)
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
    close() {
      clearInterval(timer)
      front.close()
      front.closeAllConnections()
      agent.destroy()
    },
  }
}
