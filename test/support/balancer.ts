import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Balancer {
  url: string
  close(): void
}

const lookEveryMs = 200
const lookPatienceMs = 1000

/**
 * A balancer as operators run them: it looks at every server's `/readyz` a few times a second, and gives each request to the
 * next of those that were ready. A request that no server takes, or whose server breaks off, ends in a closed connection.
 */
export async function startBalancer(servers: { url: string }[]): Promise<Balancer> {
  const ready = new Set<string>()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  let turn = 0

  const look = async ({ url }: { url: string }) => {
    const isReady = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(lookPatienceMs) }).then(
      (response) => response.ok,
      () => false,
    )
    if (isReady) ready.add(url)
    else ready.delete(url)
  }
  await Promise.all(servers.map(look))
  const contentPolicy = setInterval(() => void Promise.all(servers.map(look)), lookEveryMs)

  const front = createServer((incoming, outgoing) => {
    turn += 1
    const [url] = [...ready].slice(turn % Math.max(1, ready.size))
    if (url === undefined) return void incoming.socket.destroy()
    const { method, headers } = incoming
    const onward = request(url + incoming.url, { method, headers, agent })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
      answer.on('error', () => outgoing.destroy())
    })
    onward.on('error', () => incoming.socket.destroy())
    incoming.on('error', () => onward.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
    close() {
      clearInterval(contentPolicy)
      front.close()
      front.closeAllConnections()
      agent.destroy()
    },
  }
}
