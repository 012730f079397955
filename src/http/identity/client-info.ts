import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { ClientInfo } from '../../core/upload.ts'

const maxAgentLength = 120

/** The properties of a request that identify its client. */
interface ClientRequest {
  headers: FastifyRequest['headers']
  ip: string | undefined
  /** If proxies are trusted: the socket's address, then the addresses that trusted proxies forwarded. */
  ips?: string[] | undefined
}

/** Address, user agent and network of the client. The address is empty if the client closed its connection before this is called. */
export function clientInfoOf(request: ClientRequest): ClientInfo {
  const { ip, headers } = request
  const agent = headers['user-agent']
  return {
    address: ip ?? '',
    agent: agent === undefined ? null : agent.slice(0, maxAgentLength),
    network: rateLimitKey(request),
  }
}

/**
 * The key under which `request` is rate limited; `null` for clients on this machine, which are not limited, and for a client that has
 * gone: a closed socket has no address, whatever Fastify's types say. Only the socket's own address shows that a client is on this
 * machine: X-Forwarded-For is text that a client may have written.
 */
export function rateLimitKey({ ip, ips = [] }: Omit<ClientRequest, 'headers'>): string | null {
  if (!ip) return null
  return ips.length < 2 && isLoopback(ip) ? null : hostOf(ip)
}

/** Whether `address` is a loopback address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./i.test(address)
}

/** The host that `address` counts for: an IPv4 address itself, or the /64 of an IPv6 address, because one subscriber has 2⁶⁴ addresses. */
export function hostOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(plain) === 6 ? `${groupsOf(plain).slice(0, 4).join(':')}::/64` : plain
}

/** The eight groups of an IPv6 address, each without leading zeros. */
export function groupsOf(address: string): string[] {
  const [left = '', right] = address.split('%', 1)[0]!.split('::')
  const first = left === '' ? [] : left.split(':')
  const last = right === undefined || right === '' ? [] : right.split(':')
  const zeros = right === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  const groups = [...first, ...Array<string>(zeros).fill('0'), ...last]
  return groups.map((group) => Number.parseInt(group, 16).toString(16))
}

/** The network of `address`, by which unauthenticated clients are grouped: IPv4 /24, IPv6 /48. Other text is returned unchanged. */
export function networkOf(address: string): string {
  const host = hostOf(address)
  if (isLoopback(address)) return address
  if (isIP(host) === 4) return host.replace(/\d+$/, '0/24')
  return host.endsWith('::/64') ? `${groupsOf(address).slice(0, 3).join(':')}::/48` : address
}
