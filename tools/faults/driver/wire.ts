import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** How a client sends a body. */
export interface Behavior {
  /** Bytes of each write. */
  step: number
  /** After each write. */
  pauseMs: number
  /** Closes the connection after so many bytes. */
  disconnectAfter?: number
  /** Stops sending after so many bytes and keeps the connection open, as a phone without a signal does. */
  stallAfter?: number
  isChunked?: boolean
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

export interface HttpRequest {
  method: string
  headers: Record<string, string>
  body?: Buffer
  behavior?: Behavior
  timeoutMs?: number
}

/** Sends a request over a new connection. `null`: there was no answer, and the client cannot know what the server did. */
export function ask(
  url: string,
  { method, headers, body, behavior, timeoutMs = 30_000 }: HttpRequest,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const length: Record<string, string> = body && !behavior?.isChunked ? { 'content-length': String(body.length) } : {}
    const outgoing = request(url, { method, agent: false, headers: { ...headers, ...length } })
    const giveUp = setTimeout(() => outgoing.destroy(new Error('no answer')), timeoutMs)
    const settle = (answer: Answer | null) => {
      clearTimeout(giveUp)
      resolve(answer)
    }
    outgoing.on('error', () => settle(null))
    outgoing.on('close', () => settle(null))
    outgoing.on('response', (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (part) => {
        text += part
      })
      incoming.on('error', () => settle(null))
      incoming.on('end', () => settle({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: text }))
    })
    if (!body || body.length === 0) outgoing.end()
    else void send(body, behavior ?? { step: body.length, pauseMs: 0 })

    async function send(bytes: Buffer, { step, pauseMs, disconnectAfter, stallAfter }: Behavior): Promise<void> {
      for (let at = 0; at < bytes.length && !outgoing.destroyed; at += step) {
        if (disconnectAfter !== undefined && at >= disconnectAfter) return void outgoing.destroy()
        // A client that stalls does not read the answer either. It sends its next request over another connection.
        if (stallAfter !== undefined && at >= stallAfter) return settle(null)
        const more = outgoing.write(bytes.subarray(at, at + step))
        if (pauseMs > 0) await sleep(pauseMs)
        if (!more && !outgoing.destroyed) await drained()
      }
      outgoing.end()
    }

    function drained(): Promise<void> {
      return new Promise((go) => {
        const done = () => {
          outgoing.off('drain', done).off('close', done)
          go()
        }
        outgoing.on('drain', done).on('close', done)
      })
    }
  })
}
