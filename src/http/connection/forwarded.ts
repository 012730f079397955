/*
 * X-Forwarded-For is text of the client's making wherever a proxy did not write it. Fastify takes as the client's address what stands
 * there, whatever it is. Before it reads the header, everything is taken out that is not an address: of a list only the
 * end counts, up to the first entry that is none, because what stands before that one was not written by a proxy.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

// More proxies than stand behind one another anywhere.
const maxHops = 16

/** Leaves in X-Forwarded-For of `headers` nothing but IP addresses, the last sixteen at most. */
export function keepOnlyAddresses(headers: IncomingHttpHeaders): void {
  const said = headers['x-forwarded-for']
  if (said === undefined) return
  const kept: string[] = []
  for (const entry of String(said).split(',').slice(-maxHops).reverse()) {
    const address = addressIn(entry)
    if (address === null) break
    kept.unshift(address)
  }
  if (kept.length > 0) headers['x-forwarded-for'] = kept.join(', ')
  else delete headers['x-forwarded-for']
}

/** The IP address that `entry` is, without the port that some proxies add; `null` for anything else. */
function addressIn(entry: string): string | null {
  const plain = entry
    .trim()
    .replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1')
    .replace(/^\[([\da-f:.]+)\](?::\d+)?$/i, '$1')
  return isIP(plain) === 0 || plain.includes('%') ? null : plain
}
