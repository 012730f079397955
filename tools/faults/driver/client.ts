/*
 * A small tus client that misbehaves as real clients do: it disconnects, stalls, sends slowly, sends each request to another node, and
 * sends a PATCH while an earlier one is open. It records every offset that it is answered.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Seeded } from '../../../test/support/seeded.ts'
import type { Environment } from './environment.ts'
import { type Entry, type Model, noteOffset } from './model.ts'
import { type Answer, ask, type Behavior } from './wire.ts'

export interface Client {
  environment: Environment
  model: Model
  random: Seeded
  /** Milliseconds of `performance.now()`: a file that is not complete by then is a violation. */
  deadline: () => number
}

const bodyType = 'application/offset+octet-stream'

/** Uploads the file `name`, starting over as often as needed; some clients give up. */
export async function sendFile(client: Client, name: string): Promise<void> {
  const { random, model } = client
  const fate = random.next()
  while (!isOver(client)) {
    const isDeferred = random.chance(0.25)
    const entry = await create(client, name, isDeferred)
    if (!entry) continue
    await resume(client, entry, isDeferred, fate)
    if (entry.end !== 'lost') return
    model.count('started over')
  }
  model.report(`${name}: was not complete in time`)
}

/** Creates an upload. `null` when there was no answer: the server may have created one that this client does not know. */
async function create(client: Client, name: string, isDeferred: boolean): Promise<Entry | null> {
  const { random, model, environment } = client
  const file = model.files.get(name)!
  const hasBody = random.chance(0.3)
  const body = hasBody ? file.slice(0, random.int(1, Math.max(1, Math.min(file.size, 600_000)))) : Buffer.alloc(0)
  const answer = await ask(`${environment.anyNode(random)}/files`, {
    method: 'POST',
    headers: {
      ...environment.headers,
      ...(isDeferred ? { 'upload-defer-length': '1' } : { 'upload-length': String(file.size) }),
      'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
      ...(body.length > 0 ? { 'content-type': bodyType } : {}),
    },
    ...(body.length > 0 ? { body, behavior: behaviorOf(random, body.length) } : {}),
  })
  if (answer?.status !== 201) {
    await checkError(client, answer, `POST ${name}`)
    return null
  }
  const entry = model.open(name, String(answer.headers.location))
  entry.sent = body.length
  if (body.length > 0) noteOffset(model, entry, Number(answer.headers['upload-offset'] ?? 0), 'POST')
  if (entry.acknowledged === file.size && !isDeferred && body.length > 0) await checkComplete(client, entry, 'POST')
  return entry
}

async function resume(client: Client, entry: Entry, isDeferred: boolean, fate: number): Promise<void> {
  const { random, environment } = client
  const { file } = entry
  const givesUpAt = fate < 0.1 ? random.int(0, file.size) : Number.POSITIVE_INFINITY
  let offset: number | null = entry.acknowledged
  while (entry.end === 'open' && !isOver(client)) {
    if (entry.acknowledged >= givesUpAt) return giveUp(client, entry, fate < 0.05)
    if (offset === null || random.chance(0.15)) offset = await askOffset(client, entry)
    if (entry.end !== 'open') return
    if (offset === null || (offset >= file.size && !isDeferred)) {
      // No answer, or all bytes are stored and the upload is not complete yet: ask again.
      offset = null
      await sleep(random.int(20, 300))
      continue
    }
    // Once the faults are off, the rest is sent in one request.
    const areFaultsOff = client.deadline() < Number.POSITIVE_INFINITY
    const chunk: Buffer = file.slice(offset, areFaultsOff ? file.size : offset + lengthOfChunk(random, file.size))
    const isLast: boolean = offset + chunk.length === file.size
    const declaresLength = isDeferred && (isLast || random.chance(0.2))
    entry.sent = Math.max(entry.sent, offset + chunk.length)
    const patch = () =>
      ask(environment.anyNode(random) + entry.url, {
        method: 'PATCH',
        headers: {
          ...environment.headers,
          'content-type': bodyType,
          'upload-offset': String(offset),
          ...(declaresLength ? { 'upload-length': String(file.size) } : {}),
        },
        body: chunk,
        ...(areFaultsOff ? {} : { behavior: behaviorOf(random, chunk.length) }),
      })
    // The same bytes in two concurrent requests.
    if (random.chance(0.04)) void patch()
    const answer = await patch()
    if (declaresLength && answer?.status === 204) isDeferred = false
    offset = await readPatch(client, entry, answer, offset + chunk.length, isDeferred)
  }
}

async function readPatch(
  client: Client,
  entry: Entry,
  answer: Answer | null,
  expected: number,
  isDeferred: boolean,
): Promise<number | null> {
  if (answer?.status !== 204) {
    await checkError(client, answer, `PATCH ${entry.id}`, entry)
    return null
  }
  const offset = Number(answer.headers['upload-offset'])
  noteOffset(client.model, entry, offset, 'PATCH')
  if (offset !== expected) client.model.report(`${entry.id}: PATCH answers 204 with ${offset}, not ${expected}`)
  if (offset === entry.file.size && !isDeferred) await checkComplete(client, entry, 'PATCH')
  return offset
}

async function askOffset(client: Client, entry: Entry): Promise<number | null> {
  const { environment, random, model } = client
  const answer = await ask(environment.anyNode(random) + entry.url, { method: 'HEAD', headers: environment.headers })
  if (answer?.status !== 200) {
    await checkError(client, answer, `HEAD ${entry.id}`, entry)
    return null
  }
  const offset = Number(answer.headers['upload-offset'])
  noteOffset(model, entry, offset, 'HEAD')
  if (answer.headers['upload-length'] !== undefined && offset === entry.file.size)
    await checkComplete(client, entry, 'HEAD')
  return offset
}

/** Checks, as soon as the server answers that the file is complete, that it is. */
async function checkComplete({ environment, model }: Client, entry: Entry, where: string): Promise<void> {
  entry.end = 'complete'
  model.count('answered complete')
  const problem = await environment.whyIncomplete(entry.id, entry.file.size)
  if (problem) model.report(`${entry.id}: ${where} answered complete, but ${problem}`)
}

async function giveUp(client: Client, entry: Entry, isPolite: boolean): Promise<void> {
  const { environment, random, model } = client
  while (isPolite && !isOver(client)) {
    const answer = await ask(environment.anyNode(random) + entry.url, {
      method: 'DELETE',
      headers: environment.headers,
    })
    // 410: the answer to an earlier DELETE was lost.
    if (answer?.status === 204 || answer?.status === 410) {
      entry.end = 'cancelled'
      return model.count('cancelled')
    }
    await checkError(client, answer, `DELETE ${entry.id}`, entry)
    if (entry.end !== 'open') return
  }
  entry.end = 'abandoned'
  model.count('abandoned')
}

/** Reports an error status that the client must not be answered with; waits before the next request. */
async function checkError(
  { model, random }: Client,
  answer: Answer | null,
  what: string,
  entry?: Entry,
): Promise<void> {
  model.count(answer ? `answer ${answer.status}` : 'no answer')
  await sleep(random.int(20, 400))
  if (!answer || answer.status === 503 || answer.status === 423 || answer.status === 409) return
  if (answer.status === 410 && entry) {
    entry.end = 'lost'
    return
  }
  model.report(`${what} was answered with ${answer.status} ${answer.body.slice(0, 200)}`)
}

function lengthOfChunk(random: Seeded, size: number): number {
  const kind = random.next()
  if (kind < 0.15) return random.int(1, 2000)
  if (kind < 0.45) return random.int(2000, 400_000)
  if (kind < 0.8) return random.int(1, Math.max(1, Math.ceil(size / 2)))
  return Math.max(1, size)
}

function behaviorOf(random: Seeded, length: number): Behavior {
  const step = Math.max(1, Math.ceil(length / random.int(3, 12)))
  const behavior: Behavior = {
    step,
    pauseMs: random.chance(0.5) ? random.int(5, 80) : 0,
    isChunked: random.chance(0.2),
  }
  const way = random.next()
  if (way < 0.1) behavior.disconnectAfter = random.int(0, length)
  else if (way < 0.15) behavior.stallAfter = random.int(1, length)
  return behavior
}

function isOver({ deadline }: Client): boolean {
  return performance.now() > deadline()
}
