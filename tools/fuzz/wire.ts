import { connect } from 'node:net'
import type { FramedRequest } from './frame.ts'

const quietMs = 2500

/** A final response. Header names are in lower case. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: Buffer
}

/** Sends everything, or disconnects after `after` bytes, or ends its half of the connection there and keeps reading. */
export interface Behavior {
  kind: 'complete' | 'cut' | 'half-closed'
  after: number
  /** Bytes of each write, with a pause between writes; `null`: one write. */
  writeSize: number | null
}

export interface Outcome {
  answers: Answer[]
  /** How the exchange ended: all requests were answered, the server or the client closed, or no answer came in time. */
  end: 'answered' | 'closed' | 'cut' | 'late'
  /** What is not HTTP in the answers. */
  malformed: string | null
  ms: number
}

/** Sends `requests` on one connection, pipelined, and reads the answers. */
export async function exchange(
  port: number,
  requests: FramedRequest[],
  behavior: Behavior,
  lateMs: number,
): Promise<Outcome> {
  const startedAt = performance.now()
  const wire = Buffer.concat(requests.map((request) => request.wire))
  const bytesToSend = behavior.kind === 'complete' ? wire : wire.subarray(0, behavior.after)
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  let received: Buffer = Buffer.alloc(0)
  const over = Promise.withResolvers<Outcome['end']>()
  // The server may reset a connection: only the answers before that are checked.
  socket.on('error', () => over.resolve('closed'))
  socket.on('close', () => over.resolve('closed'))
  socket.on('end', () => over.resolve('closed'))
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes])
    const { answers } = readAnswers(received, requests)
    if (answers.length < requests.length) return
    // A request that looks malformed may be complete: then the server keeps the connection open and sends nothing more.
    if (requests.every(({ isComplete }) => isComplete)) over.resolve('answered')
    else setTimeout(() => over.resolve('answered'), quietMs)
  })
  const late = setTimeout(() => over.resolve('late'), lateMs)

  await send(bytesToSend)
  if (behavior.kind === 'cut') setTimeout(() => over.resolve('cut'), 5)
  if (behavior.kind === 'half-closed') socket.end()
  const end = await over.promise
  clearTimeout(late)
  if (end === 'cut' && requests.length % 2 === 0) socket.resetAndDestroy()
  else socket.destroy()
  return { ...readAnswers(received, requests), end, ms: performance.now() - startedAt }

  async function send(bytes: Buffer): Promise<void> {
    const step = behavior.writeSize ?? (bytes.length || 1)
    for (let at = 0; at < bytes.length && !socket.destroyed; at += step) {
      socket.write(bytes.subarray(at, at + step))
      if (behavior.writeSize !== null) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
}

/** Parses the complete answers in `received`. */
function readAnswers(
  received: Buffer,
  requests: { method: string }[],
): { answers: Answer[]; malformed: string | null } {
  const answers: Answer[] = []
  let at = 0
  for (;;) {
    const end = received.indexOf('\r\n\r\n', at)
    if (end === -1) return { answers, malformed: null }
    const [statusLine = '', ...lines] = received.toString('latin1', at, end).split('\r\n')
    const [, code] = /^HTTP\/1\.1 (\d{3})(?: [^\r\n]*)?$/.exec(statusLine) ?? []
    if (code === undefined) return { answers, malformed: `not a status line: ${statusLine.slice(0, 200)}` }
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const [, name, value] = /^([\w-]+): ?(.*)$/s.exec(line) ?? []
      if (name === undefined) return { answers, malformed: `not a header: ${line.slice(0, 200)}` }
      headers[name.toLowerCase()] = value!
    }
    const status = Number(code)
    at = end + 4
    if (status < 200) continue
    const method = requests[answers.length]?.method
    const body = readBody(received, at, status, method === 'HEAD', headers)
    if (body === null) return { answers, malformed: null }
    at = body.end
    answers.push({ status, headers, body: body.bytes })
  }
}

function readBody(
  received: Buffer,
  at: number,
  status: number,
  isHead: boolean,
  headers: Record<string, string>,
): { bytes: Buffer; end: number } | null {
  if (isHead || status === 204 || status === 304) return { bytes: Buffer.alloc(0), end: at }
  if (headers['transfer-encoding'] === undefined) {
    const end = at + Number(headers['content-length'] ?? received.length - at)
    return end <= received.length ? { bytes: received.subarray(at, end), end } : null
  }
  const chunks: Buffer[] = []
  for (let from = at; ; ) {
    const line = received.indexOf('\r\n', from)
    if (line === -1) return null
    const size = Number.parseInt(received.toString('latin1', from, line), 16)
    if (line + 2 + size + 2 > received.length) return null
    chunks.push(received.subarray(line + 2, line + 2 + size))
    from = line + 2 + size + 2
    if (size === 0) return { bytes: Buffer.concat(chunks), end: from }
  }
}
