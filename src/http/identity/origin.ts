import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Origin } from '../../core/upload.ts'

const longestAgent = 120

/** From where `request` came. The address is empty when the client has gone before anybody looked. */
export function originOf({ ip, headers }: { ip: string | undefined; headers: FastifyRequest['headers'] }): Origin {
  const agent = headers['user-agent']
  return { address: ip ?? '', agent: agent === undefined ? null : agent.slice(0, longestAgent) }
}

/**
 * The name under which requests from `address` are counted; `null` for this very machine, which is no stranger, and for
 * a client that has gone: a socket that is closed has no address, whatever Fastify's types say. Whoever has an IPv6 address has 2⁶⁴
 * of them, so their network is what counts.
 */
export function neighbourhoodOf(address: string | undefined): string | null {
  if (!address) return null
  // Some proxies say the client's port as well, which is another one each time.
  const host = address.replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1').replace(/^\[(.*)\](:\d+)?$/, '$1')
  const plain = host.replace(/^::ffff:(?=\d+\.)/i, '')
  if (isIP(plain) !== 6) return plain.startsWith('127.') ? null : plain
  if (plain === '::1') return null
  const [head = '', tail] = plain.split('%', 1)[0]!.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const hidden = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  const groups = [...first, ...Array<string>(hidden).fill('0'), ...last]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** The network that `address` is in, by which clients without a known user are grouped: IPv4 /24, IPv6 /48. Other text stays as it is. */
export function networkOf(address: string): string {
  const neighbourhood = neighbourhoodOf(address)
  if (neighbourhood === null) return address
  if (isIP(neighbourhood) === 4) return neighbourhood.replace(/\d+$/, '0/24')
  if (!neighbourhood.endsWith('::/64')) return address
  return `${neighbourhood.slice(0, -'::/64'.length).split(':').slice(0, 3).join(':')}::/48`
}
