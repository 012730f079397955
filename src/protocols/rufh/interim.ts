import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { serializeInteger } from 'structured-headers'
import { cameThroughProxy } from '../../http/connection/proxied.ts'
import type { RufhOptions } from './options.ts'
import type { Dialect } from './versions.ts'

// Node does not know it yet, and would call it "unknown".
STATUS_CODES[104] ??= 'Upload Resumption Supported'

/** Interim answers of one request: 104 (Upload Resumption Supported). */
export interface Interim {
  /** Tells where the upload is. To be called once, before the body is read. False when this client may not be told. */
  announce(headers: Record<string, string>): boolean
  /** Tells how far the recorded offset has come, now and then. */
  progress(offset: number): void
}

/**
 * The way to send interim answers to `request`. Only a client that named its version gets any, labelled with it, and
 * never one of HTTP/1.0, which would take it for the answer (RFC 9110, section 15.2). nginx (all versions known) and Varnish
 * do the same with any 1xx but 100 and 103, and then hand the final answer to the next request on that connection: behind a
 * proxy 104 is sent only when `interimResponses` says that the proxy passes it on. 100 (Continue) is Node's business and was
 * sent before.
 */
export function openInterim(
  request: FastifyRequest,
  reply: FastifyReply,
  dialect: Dialect,
  { progressEveryMs = 1000, interimResponses = 'auto' }: Pick<RufhOptions, 'progressEveryMs' | 'interimResponses'>,
): Interim {
  const isAllowed = interimResponses === 'auto' ? !cameThroughProxy(request) : interimResponses === 'always'
  const mayTell = isAllowed && dialect.isNamed && request.raw.httpVersion !== '1.0'
  const label = { 'upload-draft-interop-version': serializeInteger(dialect.version) }
  let toldAt = performance.now()

  function tell(headers: Record<string, string>): boolean {
    return mayTell && write104(reply.raw, { ...label, ...headers })
  }

  return {
    announce: tell,
    progress(offset) {
      const now = performance.now()
      if (!dialect.tellsProgress || now - toldAt < progressEveryMs) return
      toldAt = now
      tell({ 'upload-offset': serializeInteger(offset) })
    },
  }
}

/** In Node from 24.19 and 26 on, and not yet in its types everywhere. */
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
  // What Node's own writeEarlyHints does; the values are ours and hold no line breaks.
  if (!writer._writeRaw) return false
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  writer._writeRaw(`HTTP/1.1 104 Upload Resumption Supported\r\n${lines.join('')}\r\n`, 'latin1')
  return true
}
