import type { FastifyRequest } from 'fastify'

// Headers that proxies and content delivery networks add to the requests that they forward.
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

/** Whether a proxy has forwarded the request, judged by its headers. A proxy that adds none of them is not detected. */
export function cameThroughProxy({ headers, ip, raw }: FastifyRequest): boolean {
  return ip !== raw.socket.remoteAddress || proxyHeaders.some((name) => headers[name] !== undefined)
}
