import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** How a client behaves while it sends a body. */
export interface Manner {
  /** Bytes a write, and the pause after each. */
  step: number
  pauseMs: number
  /** Leaves without a word after so many bytes. */
  vanishAfter?: number
  /** Falls silent after so many bytes and keeps the connection open, as a phone without a signal does. */
  silentAfter?: number
  isChunked?: boolean
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

export interface Question {
  method: string
  headers: Record<string, string>
  body?: Buffer
  manner?: Manner
  patienceMs?: number
}

/** Asks over a connection of its own. `null`: there was no answer, and nobody knows what happened. */
export function ask(
  url: string,
  { method, headers, body, manner, patienceMs = 30_000 }: Question,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const length: Record<string, string> = body && !manner?.isChunked ? { 'content-length': String(body.length) } : {}
    const outgoing = request(url, { method, agent: false, headers: { ...headers, ...length } })
    const giveUp = setTimeout(() => outgoing.destroy(new Error('no answer')), patienceMs)
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
    else void send(body, manner ?? { step: body.length, pauseMs: 0 })

    async function send(bytes: Buffer, { step, pauseMs, vanishAfter, silentAfter }: Manner): Promise<void> {
      for (let at = 0; at < bytes.length && !outgoing.destroyed; at += step) {
        if (vanishAfter !== undefined && at >= vanishAfter) return void outgoing.destroy()
        // Whoever is silent does not hear either: the next question is asked over another connection.
        if (silentAfter !== undefined && at >= silentAfter) return settle(null)
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
