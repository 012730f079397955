import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'

export const patienceMs = 10_000

/** Who the doctor is when it uploads: the headers that say so, and the largest file it may send. */
export interface Sender {
  headers: Record<string, string>
  maxSize: number
}

/** A request whose body is written piece by piece, with everything that comes back, interim responses included. */
export interface Exchange {
  request: ClientRequest
  /** Resolves with the final response when its headers are there; `null` when the connection ends without one. */
  response: Promise<IncomingMessage | null>
  /** Interim responses (1xx) so far. */
  interims: http.InformationEvent[]
  /** Resolves when the first interim response is there; never rejects. */
  interim: Promise<http.InformationEvent>
}

/**
 * Sends the head of a request on a connection of its own. Without `content-length` in `headers` the body goes as chunks
 * (Transfer-Encoding: chunked). The caller writes the body, and ends or destroys `request`.
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

/** Resolves with `null` after `ms`: what to race a response against that may never come. */
export function after(ms: number): Promise<null> {
  return new Promise((resolve) => void setTimeout(resolve, ms, null).unref())
}
