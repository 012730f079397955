import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { cameThroughProxy } from '../../http/connection/proxied.ts'
import { serializeInteger } from '../../http/structured-fields.ts'
import type { RufhOptions } from './options.ts'
import type { Dialect } from './versions.ts'

// Node's table lacks 104: its reason phrase would be "unknown".
STATUS_CODES[104] ??= 'Upload Resumption Supported'

/** The interim responses of one request: 104 (Upload Resumption Supported). */
export interface Interim {
  /** Sends the URL of the upload. To be called once, before the body is read. @returns whether a 104 was sent */
  announce(headers: Record<string, string>): boolean
  /** Sends the recorded offset, at most once in `progressEveryMs`. */
  progress(offset: number): void
}

/**
 * The interim responses of `request`. The server sends them only to a client that named its interop version, labelled with that
 * version, and never to HTTP/1.0, where a client takes an interim response for the final one (RFC 9110, section 15.2). nginx
 * (all known versions) and Varnish make the same mistake with every 1xx except 100 and 103, and then pass the final response to the
 * next request on that connection: behind a proxy, 104 is sent only when `interimResponses` says that the proxy forwards it. Node
 * has sent 100 (Continue) before.
 */
export function openInterim(
  request: FastifyRequest,
  reply: FastifyReply,
  dialect: Dialect,
  { progressEveryMs = 1000, interimResponses = 'auto' }: Pick<RufhOptions, 'progressEveryMs' | 'interimResponses'>,
): Interim {
  const isAllowed = interimResponses === 'auto' ? !cameThroughProxy(request) : interimResponses === 'always'
  const maySend = isAllowed && dialect.isNamed && request.raw.httpVersion !== '1.0'
  const label = { 'upload-draft-interop-version': serializeInteger(dialect.version) }
  let sentAt = performance.now()

  function send(headers: Record<string, string>): boolean {
    return maySend && write104(reply.raw, { ...label, ...headers })
  }

  return {
    announce: send,
    progress(offset) {
      const now = performance.now()
      if (!dialect.sendsProgress || now - sentAt < progressEveryMs) return
      sentAt = now
      send({ 'upload-offset': serializeInteger(offset) })
    },
  }
}

/** `writeInformation` exists from Node 24.19 and 26 on; not all versions of its types have it. */
interface WithInformation {
  writeInformation?(status: number, headers: Record<string, string>): unknown
  _writeRaw?(data: string, encoding: 'latin1'): unknown
}

function write104(response: ServerResponse, headers: Record<string, string>): boolean {
  if (response.headersSent || response.writableEnded || response.destroyed || response.socket?.destroyed) return false
  const writer = response as ServerResponse & WithInformation
  if (writer.writeInformation) {
    writer.writeInformation(104, headers)
    return true
  }
  // As Node's own writeEarlyHints does. The server made all the values, so they contain no line breaks.
  if (!writer._writeRaw) return false
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  writer._writeRaw(`HTTP/1.1 104 Upload Resumption Supported\r\n${lines.join('')}\r\n`, 'latin1')
  return true
}
