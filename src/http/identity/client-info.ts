import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { ClientInfo } from '../../core/upload.ts'

const maxAgentLength = 120

/** What `originOf` reads of a request. */
interface Coming {
  headers: FastifyRequest['headers']
  ip: string | undefined
  /** Where proxies are trusted: the socket's address, and after it those that trusted proxies named. */
  ips?: string[] | undefined
}

/** From where `request` came. The address is empty when the client has gone before anybody looked. */
export function clientInfoOf(request: Coming): ClientInfo {
  const { ip, headers } = request
  const agent = headers['user-agent']
  return {
    address: ip ?? '',
    agent: agent === undefined ? null : agent.slice(0, maxAgentLength),
    network: rateLimitKey(request),
  }
}

/**
 * The name under which `request` is counted; `null` for this very machine, which is no stranger, and for a client that has gone: a
 * socket that is closed has no address, whatever Fastify's types say. Only the socket can say that it is this machine: what
 * X-Forwarded-For says, a client wrote.
 */
export function rateLimitKey({ ip, ips = [] }: Omit<Coming, 'headers'>): string | null {
  if (!ip) return null
  return ips.length < 2 && isLoopback(ip) ? null : hostOf(ip)
}

/** Whether `address` is of this very machine. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./i.test(address)
}

/** What is counted as one host: an IPv4 address itself; of IPv6 the /64, because each of its users has 2⁶⁴ addresses. */
export function hostOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(plain) === 6 ? `${groupsOf(plain).slice(0, 4).join(':')}::/64` : plain
}

/** The eight groups of an IPv6 address, each without leading zeros. */
export function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('%', 1)[0]!.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const hidden = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  const groups = [...first, ...Array<string>(hidden).fill('0'), ...last]
  return groups.map((group) => Number.parseInt(group, 16).toString(16))
}

/** The network that `address` is in, by which clients without a known user are grouped: IPv4 /24, IPv6 /48. Other text stays as it is. */
export function networkOf(address: string): string {
  const host = hostOf(address)
  if (isLoopback(address)) return address
  if (isIP(host) === 4) return host.replace(/\d+$/, '0/24')
  return host.endsWith('::/64') ? `${groupsOf(address).slice(0, 3).join(':')}::/48` : address
}
