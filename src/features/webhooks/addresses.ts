/*
 * The addresses that webhooks may be sent to. URLs come from users, and the server stands where users do not: behind the firewall, beside
 * the metadata service of a cloud. So only public addresses are allowed, and networks that the operator names. Names are resolved here
 * and the connection goes to the very addresses that were checked; a name that resolves to another address a moment later gains nothing.
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** A host has an address that webhooks are not sent to. */
export class AddressRefused extends Error {
  override name = 'AddressRefused'
}

/** Finds all addresses of a host. With an error there are none. */
export type Resolve = (host: string, done: (error: Error | null, addresses?: LookupAddress[]) => void) => void

/** Global unicast (RFC 4291); other ranges hold mapped, translated, local and unassigned addresses. */
const globalV6 = ipaddr.parseCIDR('2000::/3')
/** A service of Azure for its virtual machines, at a public address. */
const refused = [ipaddr.parseCIDR('168.63.129.16/32')]

/** Whether webhooks may be sent to `address`: it is public, or within one of `networks`. */
export function isAllowed(address: string, networks: string[]): boolean {
  if (!ipaddr.isValid(address)) return false
  const given = ipaddr.process(address)
  const isWithin = (range: [ipaddr.IPv4 | ipaddr.IPv6, number]) =>
    given.kind() === range[0].kind() && given.match(range)
  if (networks.some((network) => isWithin(rangeOf(network)))) return true
  if (given.range() !== 'unicast' || refused.some(isWithin)) return false
  return given.kind() === 'ipv4' || isWithin(globalV6)
}

/** The host of a URL as an address; `null`: it is a name. */
export function addressIn(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return isIP(host) === 0 ? null : host
}

/** A lookup for sockets that finds allowed addresses only. One refused address refuses the host. @throws AddressRefused */
export function guardedLookup(networks: string[], resolve: Resolve = resolveAll): LookupFunction {
  return (host, { all }, done) => {
    resolve(host, (error, addresses = []) => {
      if (error !== null) return done(error, '')
      const [first] = addresses
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address, networks)))
        return done(new AddressRefused('the host has an address that webhooks are not sent to'), '')
      if (all === true) return (done as (error: null, addresses: LookupAddress[]) => void)(null, addresses)
      done(null, first.address, first.family)
    })
  }
}

const resolveAll: Resolve = (host, done) => dnsLookup(host, { all: true, verbatim: true }, done)

function rangeOf(network: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  return network.includes('/') ? ipaddr.parseCIDR(network) : [ipaddr.parse(network), isIP(network) === 4 ? 32 : 128]
}
