import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { AddressRefused, addressIn, guardedLookup, isAllowed, type Resolve } from './addresses.ts'

/** What came of an attempt. The body of the answer is in none of them: it could be a page that only this server can reach. */
export type Outcome =
  | { result: 'answered'; status: number; retryAfter: string | undefined; ms: number }
  | { result: 'timeout' | 'unreachable' | 'address-refused' | 'aborted'; status: null; ms: number }

export interface Message {
  url: string
  headers: Record<string, string>
  body: string
}

/** Sends a message and resolves to what came of it. Follows no redirect. */
export type Send = (message: Message, signal: AbortSignal) => Promise<Outcome>

export interface SendOptions {
  /** Networks that messages may be sent to beside public addresses. */
  networks: string[]
  /** Whether URLs may be http. */
  allowsHttp: boolean
  /** How long an attempt may take from the look-up of the name to the end of the answer. */
  timeoutMs?: number
  resolve?: Resolve
}

const defaultTimeoutMs = 15_000
// More of an answer is not read: the connection is closed.
const maxAnswerBytes = 4096

/** A sender that connects to allowed addresses only. Every attempt has a connection of its own, so that its address was checked for it. */
export function createSend({ networks, allowsHttp, timeoutMs = defaultTimeoutMs, resolve }: SendOptions): Send {
  const lookup = guardedLookup(networks, resolve)

  return async ({ url: text, headers, body }, signal) => {
    const url = new URL(text)
    const startedAt = performance.now()
    const ended = (result: Exclude<Outcome['result'], 'answered'>): Outcome => ({ result, status: null, ms: elapsed() })
    const elapsed = () => Math.round(performance.now() - startedAt)
    const literal = addressIn(url)
    if (url.protocol !== 'https:' && !allowsHttp) return ended('address-refused')
    // Node asks no lookup about an address.
    if (literal !== null && !isAllowed(literal, networks)) return ended('address-refused')
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), timeoutMs)
    try {
      const answer = await post(url, headers, body, AbortSignal.any([stop.signal, signal]))
      await discard(answer)
      const retryAfter = answer.headers['retry-after']
      return { result: 'answered', status: answer.statusCode!, retryAfter, ms: elapsed() }
    } catch (error) {
      if (signal.aborted) return ended('aborted')
      if (stop.signal.aborted) return ended('timeout')
      return ended(error instanceof AddressRefused ? 'address-refused' : 'unreachable')
    } finally {
      clearTimeout(timer)
    }
  }

  function post(
    url: URL,
    headers: Record<string, string>,
    body: string,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp
    return new Promise((resolve, reject) => {
      request(
        url,
        {
          method: 'POST',
          agent: false,
          lookup,
          signal,
          headers: {
            ...headers,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            'user-agent': 'Landfall-Webhooks',
          },
        },
        resolve,
      )
        .on('error', reject)
        .end(body)
    })
  }
}

/** Reads the beginning of an answer, so that a short one ends regularly, and throws it away. The status has arrived, so it never fails. */
function discard(answer: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0
    answer.on('error', () => {})
    answer.on('close', resolve)
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxAnswerBytes) answer.destroy()
    })
  })
}
