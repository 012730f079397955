import { BlockList, isIP } from 'node:net'

const namedNetworks: Record<string, [string, number][]> = {
  loopback: [
    ['127.0.0.0', 8],
    ['::1', 128],
  ],
  linklocal: [
    ['169.254.0.0', 16],
    ['fe80::', 10],
  ],
  uniquelocal: [
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['fc00::', 7],
  ],
}

/**
 * Returns a function that tells whether an address is one of the proxies in `trust`: addresses, networks such as 10.0.0.0/8, and Fastify's
 * names of networks. `true`, which trusts every proxy, names none, so the function returns `false`.
 */
export function trustedProxies(trust: boolean | string[]): (address: string) => boolean {
  if (typeof trust === 'boolean') return () => false
  const list = new BlockList()
  for (const item of trust) {
    const [address = '', bits] = item.split('/')
    const whole = isIP(address) === 6 ? 128 : 32
    for (const [network, prefix] of namedNetworks[item] ?? [
      [address, bits === undefined ? whole : Number(bits)] as const,
    ])
      list.addSubnet(network, prefix, isIP(network) === 6 ? 'ipv6' : 'ipv4')
  }
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
