/*
 * X-Forwarded-For is text that the client may have written, except for the entries that a proxy added. Fastify takes any entry as the
 * client's address without checking it. So before Fastify reads the header, only the entries at its end are kept, up to the first that is
 * not an IP address: a proxy writes addresses only, so it wrote neither that entry nor any before it.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

// More than the longest chain of proxies in practice.
const maxHops = 16

/** Removes everything from X-Forwarded-For of `headers` except the IP addresses at its end, sixteen at most. */
export function keepOnlyAddresses(headers: IncomingHttpHeaders): void {
  const header = headers['x-forwarded-for']
  if (header === undefined) return
  const kept: string[] = []
  for (const entry of String(header).split(',').slice(-maxHops).reverse()) {
    const address = addressIn(entry)
    if (address === null) break
    kept.unshift(address)
  }
  if (kept.length > 0) headers['x-forwarded-for'] = kept.join(', ')
  else delete headers['x-forwarded-for']
}

/** The IP address in `entry`, without the port that some proxies add; `null` for anything else. */
function addressIn(entry: string): string | null {
  const plain = entry
    .trim()
    .replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1')
    .replace(/^\[([\da-f:.]+)\](?::\d+)?$/i, '$1')
  return isIP(plain) === 0 || plain.includes('%') ? null : plain
}
