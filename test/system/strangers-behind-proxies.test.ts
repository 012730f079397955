import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { proxyKinds, startProxy } from '../support/proxy.ts'

let server: NodeProcess
beforeAll(async () => {
  server = await startNodeProcess()
})
afterAll(() => server.kill())

/** Headers by which a client claims to be this machine. */
const spoofedHeaders = { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1' }

async function statusOf(url: string, init: RequestInit = {}): Promise<number> {
  return (await fetch(url, { redirect: 'manual', ...init })).status
}

function signIn(code: string): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }) }
}

describe('a development server reached through a proxy on the same machine', () => {
  it.for(proxyKinds)('(%s) gives unauthenticated clients no token, metrics or uploads', async (kind, { skip }) => {
    const proxy = startProxy(kind, server.port) ?? skip(`${kind} is not installed`)
    onTestFinished(proxy.stop)
    const ask = (path: string) => statusOf(proxy.url + path, { headers: spoofedHeaders })

    expect(await ask('/health')).toBe(200)
    expect(await ask('/v1/dev-token?user=x&admin=true')).toBe(404)
    expect(await ask('/metrics')).toBe(404)
    expect(await statusOf(`${proxy.url}/v1/dev/sign-in`, signIn('guess'))).toBe(401)
    for (const path of ['/v1/me', '/v1/uploads', '/v1/admin/policies', '/v1/admin/audit', '/v1/events', '/files/x'])
      expect([path, await ask(path)]).toEqual([path, 401])
  })

  it('accepts the sign-in link of the operator only once', async ({ skip }) => {
    const proxy = startProxy('nginx', server.port) ?? skip('nginx is not installed')
    onTestFinished(proxy.stop)
    const code = /#code=([\w-]+)/.exec(server.log())?.[1] ?? ''

    expect(await statusOf(`${proxy.url}/v1/dev/sign-in`, signIn(code))).toBe(200)
    expect(await statusOf(`${proxy.url}/v1/dev/sign-in`, signIn(code))).toBe(401)
  })
})
