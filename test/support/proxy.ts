import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('./servers/proxy.sh', import.meta.url))
const programs: Record<string, string> = { varnish: 'varnishd', apache: 'apache2' }

/** The reverse proxies of Debian's packages that `servers/proxy.sh` can start. */
export const proxyKinds = ['nginx', 'nginx-tuned', 'haproxy', 'haproxy-tcp', 'caddy', 'apache', 'varnish', 'lighttpd']

export interface Proxy {
  url: string
  stop(): void
}

/** Starts a proxy of this kind in front of the server on `port`; `null` where it is not installed. */
export function startProxy(kind: string, port: number): Proxy | null {
  const [name = kind] = kind.split('-')
  const env = { PATH: `${process.env.PATH}:/usr/sbin`, UPSTREAM_PORT: String(port), PROXY_NAME: randomUUID() }
  if (spawnSync('which', [programs[name] ?? name], { env }).status !== 0) return null
  const url = execFileSync(script, [kind, 'up'], { env, encoding: 'utf8' }).trim().split('\n').at(-1)!
  return { url, stop: () => void execFileSync(script, [kind, 'down'], { env, stdio: 'ignore' }) }
}
