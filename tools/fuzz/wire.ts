import { connect } from 'node:net'
import type { Framed } from './frame.ts'

const quietMs = 2500

/** A final answer as it was read. Names of headers are in lower case. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: Buffer
}

/** How the client behaves: to the end, gone after so many bytes, or done with speaking after so many and listening. */
export interface Manner {
  kind: 'whole' | 'cut' | 'hushed'
  after: number
  /** Bytes in one write, with a moment between writes; `null`: all at once. */
  pieces: number | null
}

export interface Heard {
  answers: Answer[]
  /** Why it is over: everything was answered, the server closed, we did, or nothing came for too long. */
  end: 'answered' | 'closed' | 'cut' | 'late'
  /** What of it was not HTTP. */
  fault: string | null
  ms: number
}

/** Says `requests` on one connection, one after the other without waiting, and hears what comes back. */
export async function converse(port: number, requests: Framed[], manner: Manner, lateMs: number): Promise<Heard> {
  const startedAt = performance.now()
  const wire = Buffer.concat(requests.map((request) => request.wire))
  const said = manner.kind === 'whole' ? wire : wire.subarray(0, manner.after)
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  let heard: Buffer = Buffer.alloc(0)
  const over = Promise.withResolvers<Heard['end']>()
  // The server may end a connection abruptly; what matters is what it said before.
  socket.on('error', () => over.resolve('closed'))
  socket.on('close', () => over.resolve('closed'))
  socket.on('end', () => over.resolve('closed'))
  socket.on('data', (bytes) => {
    heard = Buffer.concat([heard, bytes])
    const { answers } = readAnswers(heard, requests)
    if (answers.length < requests.length) return
    // What looks broken may be whole after all: then the server says no more, and keeps the connection.
    if (requests.every(({ isWhole }) => isWhole)) over.resolve('answered')
    else setTimeout(() => over.resolve('answered'), quietMs)
  })
  const late = setTimeout(() => over.resolve('late'), lateMs)

  await send(said)
  if (manner.kind === 'cut') setTimeout(() => over.resolve('cut'), 5)
  if (manner.kind === 'hushed') socket.end()
  const end = await over.promise
  clearTimeout(late)
  if (end === 'cut' && requests.length % 2 === 0) socket.resetAndDestroy()
  else socket.destroy()
  return { ...readAnswers(heard, requests), end, ms: performance.now() - startedAt }

  async function send(bytes: Buffer): Promise<void> {
    const step = manner.pieces ?? (bytes.length || 1)
    for (let at = 0; at < bytes.length && !socket.destroyed; at += step) {
      socket.write(bytes.subarray(at, at + step))
      if (manner.pieces !== null) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
}

/** The answers in what was heard, as many as there are whole ones. */
function readAnswers(heard: Buffer, requests: { method: string }[]): { answers: Answer[]; fault: string | null } {
  const answers: Answer[] = []
  let at = 0
  for (;;) {
    const end = heard.indexOf('\r\n\r\n', at)
    if (end === -1) return { answers, fault: null }
    const [statusLine = '', ...lines] = heard.toString('latin1', at, end).split('\r\n')
    const [, code] = /^HTTP\/1\.1 (\d{3})(?: [^\r\n]*)?$/.exec(statusLine) ?? []
    if (code === undefined) return { answers, fault: `this is no answer: ${statusLine.slice(0, 200)}` }
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const [, name, value] = /^([\w-]+): ?(.*)$/s.exec(line) ?? []
      if (name === undefined) return { answers, fault: `this is no header: ${line.slice(0, 200)}` }
      headers[name.toLowerCase()] = value!
    }
    const status = Number(code)
    at = end + 4
    if (status < 200) continue
    const method = requests[answers.length]?.method
    const body = readBody(heard, at, status, method === 'HEAD', headers)
    if (body === null) return { answers, fault: null }
    at = body.end
    answers.push({ status, headers, body: body.bytes })
  }
}

function readBody(
  heard: Buffer,
  at: number,
  status: number,
  isHead: boolean,
  headers: Record<string, string>,
): { bytes: Buffer; end: number } | null {
  if (isHead || status === 204 || status === 304) return { bytes: Buffer.alloc(0), end: at }
  if (headers['transfer-encoding'] === undefined) {
    const end = at + Number(headers['content-length'] ?? heard.length - at)
    return end <= heard.length ? { bytes: heard.subarray(at, end), end } : null
  }
  const chunks: Buffer[] = []
  for (let from = at; ; ) {
    const line = heard.indexOf('\r\n', from)
    if (line === -1) return null
    const size = Number.parseInt(heard.toString('latin1', from, line), 16)
    if (line + 2 + size + 2 > heard.length) return null
    chunks.push(heard.subarray(line + 2, line + 2 + size))
    from = line + 2 + size + 2
    if (size === 0) return { bytes: Buffer.concat(chunks), end: from }
  }
}
