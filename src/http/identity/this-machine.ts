import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** Whether a request was made on this very machine, and neither through a proxy nor by a page from elsewhere. */
export function isFromThisMachine({ raw, headers }: FastifyRequest): boolean {
  const { remoteAddress, localAddress } = raw.socket
  // Behind a proxy on this machine everybody would come from here.
  if (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined) return false
  // A page elsewhere whose name was pointed to this machine (DNS rebinding) still sends its own name as Host.
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  if (host !== 'localhost' && isIP(host) === 0) return false
  if (headers['sec-fetch-site'] !== undefined && !['same-origin', 'none'].includes(String(headers['sec-fetch-site'])))
    return false
  return remoteAddress !== undefined && (isLoopback(remoteAddress) || remoteAddress === localAddress)
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
