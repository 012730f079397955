import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'

export const timeoutMs = 10_000

/** The identity of the doctor when it uploads: its headers, and the largest file it may send. */
export interface Sender {
  headers: Record<string, string>
  maxSize: number
}

/** A request whose body the caller writes, and everything that comes back, interim responses included. */
export interface Exchange {
  request: ClientRequest
  /** Resolves with the final response once its headers arrived; `null` when the connection ends without one. */
  response: Promise<IncomingMessage | null>
  /** Interim responses (1xx) so far. */
  interims: http.InformationEvent[]
  /** Resolves when the first interim response arrives; never rejects. */
  interim: Promise<http.InformationEvent>
}

/**
 * Sends the request line and headers on a new connection. Without `content-length` in `headers` the body is sent with
 * Transfer-Encoding: chunked. The caller writes the body, and ends or destroys `request`.
 */
export function open(url: string, method: string, headers: Record<string, string | number>): Exchange {
  const { request: send } = url.startsWith('https:') ? https : http
  const request = send(url, { method, agent: false, headers })
  const interims: http.InformationEvent[] = []
  const interim = new Promise<http.InformationEvent>((resolve) => {
    request.on('information', (information) => {
      interims.push(information)
      resolve(information)
    })
  })
  const response = new Promise<IncomingMessage | null>((resolve) => {
    request.once('response', (message) => {
      message.resume()
      resolve(message)
    })
    request.once('error', () => resolve(null))
    request.once('close', () => resolve(null))
  })
  request.flushHeaders()
  return { request, response, interims, interim }
}

/** Resolves with `null` after `ms`, for a race against a response that may never arrive. */
export function after(ms: number): Promise<null> {
  return new Promise((resolve) => void setTimeout(resolve, ms, null).unref())
}
