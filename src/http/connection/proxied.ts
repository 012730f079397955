import type { FastifyRequest } from 'fastify'

// What proxies and content delivery networks add to the requests that they pass on.
const proxyHeaders = [
  'via',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-server',
  'x-forwarded-prefix',
  'x-real-ip',
  'x-varnish',
  'x-envoy-external-address',
  'cf-ray',
  'cdn-loop',
  'fastly-client-ip',
  'x-amz-cf-id',
  'x-azure-ref',
  'true-client-ip',
]

/** Whether a proxy has passed the request on, as far as its headers tell; a proxy that adds none cannot be known. */
export function cameThroughProxy({ headers, ip, raw }: FastifyRequest): boolean {
  return ip !== raw.socket.remoteAddress || proxyHeaders.some((name) => headers[name] !== undefined)
}
