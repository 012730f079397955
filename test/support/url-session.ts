import { headOf, openRaw, type RawAnswer, type RawConnection } from './raw-http.ts'
import type { Seeded } from './seeded.ts'

/*
 * A stand-in for the upload task of Apple's URLSession, with the same requests: it sends a file in one POST, takes the URL of the upload
 * from a 104 that is labelled with its own interop version, resumes there after a lost connection, and accepts any final answer. It
 * has interop version 3 (iOS 17), 5 (18.0) or 6 (18.1 and later).
 */

export interface UploadTask {
  port: number
  path: string
  version: 3 | 5 | 6
  bytes: Buffer
  headers: Record<string, string | number>
  /** Chooses where and how connections are lost. */
  chance: Seeded
  /** The number of connections that are lost. */
  losses: number
}

export interface TaskResult {
  answer: RawAnswer
  /** The URL of the upload. */
  location: string
  /** Every request and answer, for the message of a failed test. */
  trace: string[]
  /** How often the task resumed after a lost connection, and how often it had to start again with a POST. */
  resumed: number
  restarted: number
}

/** How a connection is lost. A `hang` keeps the connection open and silent until the task has ended. */
type Loss = { kind: 'cut' | 'hang' | 'reset'; after: number }

/**
 * Runs an upload task to its end.
 * @throws Error when the task would fail: after a final answer that is not 2xx, or when the server breaks the protocol
 */
export async function runUploadTask(task: UploadTask): Promise<TaskResult> {
  const { chance, version, bytes } = task
  const trace: string[] = []
  const hanging: RawConnection[] = []
  let location: string | null = null
  let knownOffset = 0
  let lossesLeft = task.losses
  let resumed = 0
  let restarted = 0

  function nextLoss(size: number): Loss | null {
    if (lossesLeft === 0) return null
    lossesLeft -= 1
    // Losses at the ends find more errors, so they are chosen more often than by chance.
    const after = chance.pick([chance.int(0, size), chance.int(0, size), 0, size])
    return { kind: chance.pick(['cut', 'hang', 'reset'] as const), after }
  }

  /** Sends one request, whose connection may be lost, and returns the answer if one arrived. */
  async function send(method: string, path: string, headers: Record<string, string | number>, body: Buffer | null) {
    const loss = nextLoss(body?.length ?? 0)
    trace.push(`${method} ${path} ${JSON.stringify(headers)}${loss ? ` lost: ${loss.kind} after ${loss.after}` : ''}`)
    const connection = await openRaw(task.port)
    const head = headOf({
      method,
      path,
      headers: {
        ...task.headers,
        'upload-draft-interop-version': version,
        ...headers,
        ...(body && { 'content-length': body.length }),
      },
    })
    await connection.send(head)
    await sendBody(connection, body ?? Buffer.alloc(0), loss)
    const answer = loss ? await lose(connection, loss) : await connection.answer()
    for (const interim of parseInterims(connection)) handleInterim(interim)
    trace.push(answer ? `  ${answer.status} ${JSON.stringify(answer.headers)}` : '  no answer')
    return answer
  }

  async function sendBody(connection: RawConnection, body: Buffer, loss: Loss | null) {
    const end = loss ? loss.after : body.length
    for (let sent = 0; sent < end && !connection.socket.destroyed; ) {
      const size = chance.int(1, Math.max(1, Math.ceil(body.length / 4)))
      await connection.send(body.subarray(sent, Math.min(end, sent + size)))
      if (chance.chance(0.3)) await pause(chance.int(1, 8))
      sent += size
    }
  }

  async function lose(connection: RawConnection, loss: Loss): Promise<null> {
    if (chance.chance(0.7)) await pause(chance.int(0, 15))
    if (loss.kind === 'cut') connection.cut()
    else if (loss.kind === 'reset') connection.socket.resetAndDestroy()
    else hanging.push(connection)
    return null
  }

  function handleInterim({ status, headers }: RawAnswer['interims'][number]) {
    if (status !== 104) return
    if (headers['upload-draft-interop-version'] !== String(version)) throw failure('a 104 of another version')
    if (headers['location']) location = headers['location']
    const offset = Number(headers['upload-offset'] ?? 0)
    knownOffset = Math.max(knownOffset, offset)
  }

  function failure(reason: string) {
    return new Error(`${reason}\n${trace.join('\n')}`)
  }

  function isComplete(answer: RawAnswer): boolean {
    return version === 3 ? answer.headers['upload-incomplete'] === '?0' : answer.headers['upload-complete'] === '?1'
  }

  function finish(answer: RawAnswer): TaskResult {
    for (const connection of hanging) connection.cut()
    if (answer.status < 200 || answer.status > 299) throw failure(`the task read ${answer.status} and failed`)
    // A creation that may repeat an earlier one gets no 104: the final answer has the Location.
    location = answer.headers['location'] ?? location
    if (location === null) throw failure('the task got no Location')
    return { answer, location, trace, resumed, restarted }
  }

  const whole = version === 3 ? { 'upload-incomplete': '?0' } : { 'upload-complete': '?1' }
  const asPart = version === 6 ? { 'content-type': 'application/partial-upload' } : {}
  for (;;) {
    if (location === null) {
      const length = version === 6 ? { 'upload-length': bytes.length } : {}
      const answer: RawAnswer | null = await send('POST', task.path, { ...whole, ...length }, bytes)
      if (answer) return finish(answer)
      if (location === null) restarted += 1
      continue
    }
    const state = await send('HEAD', location, {}, null)
    if (!state) continue
    resumed += 1
    if (state.status !== 204) return finish(state)
    if (isComplete(state)) return finish(state)
    const offset = Number(state.headers['upload-offset'])
    if (!(offset >= knownOffset && offset <= bytes.length))
      throw failure(`the offset is ${offset} after ${knownOffset}`)
    knownOffset = offset
    const answer = await send(
      'PATCH',
      location,
      { ...whole, ...asPart, 'upload-offset': offset },
      bytes.subarray(offset),
    )
    if (answer) return finish(answer)
  }
}

function parseInterims(connection: RawConnection): RawAnswer['interims'] {
  const heads = connection.received().split('\r\n\r\n').slice(0, -1)
  return heads
    .filter((head) => /^HTTP\/1\.1 1\d\d /.test(head))
    .map((head) => {
      const [statusLine = '', ...lines] = head.split('\r\n')
      const headers = lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ])
      return { status: Number(statusLine.split(' ')[1]), headers: Object.fromEntries(headers) }
    })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
