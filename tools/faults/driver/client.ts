/*
 * A lean tus client that behaves as badly as clients do: it vanishes, falls silent, sends a byte at a time, asks through
 * another node each time, forgets that it has a request open. It writes down every offset that it was told.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Seeded } from '../../../test/support/seeded.ts'
import type { Ground } from './ground.ts'
import { type Entry, type Ledger, noteOffset } from './ledger.ts'
import { type Answer, ask, type Manner } from './wire.ts'

export interface Client {
  ground: Ground
  ledger: Ledger
  chance: Seeded
  /** When it stops: what is still open then is a complaint. */
  deadline: () => number
}

const bodyType = 'application/offset+octet-stream'

/** Brings the file `name` through, however often it takes; or gives it up, as some do. */
export async function sendFile(client: Client, name: string): Promise<void> {
  const { chance, ledger } = client
  const fate = chance.next()
  while (!isOver(client)) {
    const isDeferred = chance.chance(0.25)
    const entry = await create(client, name, isDeferred)
    if (!entry) continue
    await goOn(client, entry, isDeferred, fate)
    if (entry.end !== 'lost') return
    ledger.count('begun anew')
  }
  ledger.complain(`${name}: was not brought through in time`)
}

/** A new upload. `null` when there was no answer: there may be one of which the client never hears. */
async function create(client: Client, name: string, isDeferred: boolean): Promise<Entry | null> {
  const { chance, ledger, ground } = client
  const file = ledger.files.get(name)!
  const bringsBytes = chance.chance(0.3)
  const body = bringsBytes ? file.slice(0, chance.int(1, Math.max(1, Math.min(file.size, 600_000)))) : Buffer.alloc(0)
  const answer = await ask(`${ground.anyNode(chance)}/files`, {
    method: 'POST',
    headers: {
      ...ground.headers,
      ...(isDeferred ? { 'upload-defer-length': '1' } : { 'upload-length': String(file.size) }),
      'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
      ...(body.length > 0 ? { 'content-type': bodyType } : {}),
    },
    ...(body.length > 0 ? { body, manner: mannerOf(chance, body.length) } : {}),
  })
  if (answer?.status !== 201) {
    await judge(client, answer, `POST ${name}`)
    return null
  }
  const entry = ledger.open(name, String(answer.headers.location))
  entry.offered = body.length
  if (body.length > 0) noteOffset(ledger, entry, Number(answer.headers['upload-offset'] ?? 0), 'POST')
  if (entry.acknowledged === file.size && !isDeferred && body.length > 0) await claimWhole(client, entry, 'POST')
  return entry
}

async function goOn(client: Client, entry: Entry, isDeferred: boolean, fate: number): Promise<void> {
  const { chance, ground } = client
  const { file } = entry
  const givesUpAt = fate < 0.1 ? chance.int(0, file.size) : Number.POSITIVE_INFINITY
  let offset: number | null = entry.acknowledged
  while (entry.end === 'open' && !isOver(client)) {
    if (entry.acknowledged >= givesUpAt) return giveUp(client, entry, fate < 0.05)
    if (offset === null || chance.chance(0.15)) offset = await askOffset(client, entry)
    if (entry.end !== 'open') return
    if (offset === null || (offset >= file.size && !isDeferred)) {
      // Whole by its offset, but nobody has said so yet, or no answer: ask again.
      offset = null
      await sleep(chance.int(20, 300))
      continue
    }
    // In fair weather everybody hurries home.
    const isFair = client.deadline() < Number.POSITIVE_INFINITY
    const chunk: Buffer = file.slice(offset, isFair ? file.size : offset + lengthOfChunk(chance, file.size))
    const isLast: boolean = offset + chunk.length === file.size
    const tellsLength = isDeferred && (isLast || chance.chance(0.2))
    entry.offered = Math.max(entry.offered, offset + chunk.length)
    const patch = () =>
      ask(ground.anyNode(chance) + entry.url, {
        method: 'PATCH',
        headers: {
          ...ground.headers,
          'content-type': bodyType,
          'upload-offset': String(offset),
          ...(tellsLength ? { 'upload-length': String(file.size) } : {}),
        },
        body: chunk,
        ...(isFair ? {} : { manner: mannerOf(chance, chunk.length) }),
      })
    // A client that forgot the request it has open sends the same bytes twice.
    if (chance.chance(0.04)) void patch()
    const answer = await patch()
    if (tellsLength && answer?.status === 204) isDeferred = false
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
    await judge(client, answer, `PATCH ${entry.id}`, entry)
    return null
  }
  const offset = Number(answer.headers['upload-offset'])
  noteOffset(client.ledger, entry, offset, 'PATCH')
  if (offset !== expected) client.ledger.complain(`${entry.id}: PATCH answers 204 with ${offset}, not ${expected}`)
  if (offset === entry.file.size && !isDeferred) await claimWhole(client, entry, 'PATCH')
  return offset
}

async function askOffset(client: Client, entry: Entry): Promise<number | null> {
  const { ground, chance, ledger } = client
  const answer = await ask(ground.anyNode(chance) + entry.url, { method: 'HEAD', headers: ground.headers })
  if (answer?.status !== 200) {
    await judge(client, answer, `HEAD ${entry.id}`, entry)
    return null
  }
  const offset = Number(answer.headers['upload-offset'])
  noteOffset(ledger, entry, offset, 'HEAD')
  if (answer.headers['upload-length'] !== undefined && offset === entry.file.size)
    await claimWhole(client, entry, 'HEAD')
  return offset
}

/** The client was told that its file is whole, and goes away. Is it? */
async function claimWhole({ ground, ledger }: Client, entry: Entry, where: string): Promise<void> {
  entry.end = 'whole'
  ledger.count('told whole')
  const complaint = await ground.faultOfClaim(entry.id, entry.file.size)
  if (complaint) ledger.complain(`${entry.id}: ${where} said whole, but ${complaint}`)
}

async function giveUp(client: Client, entry: Entry, isPolite: boolean): Promise<void> {
  const { ground, chance, ledger } = client
  while (isPolite && !isOver(client)) {
    const answer = await ask(ground.anyNode(chance) + entry.url, { method: 'DELETE', headers: ground.headers })
    // 410: the answer to an earlier DELETE was lost.
    if (answer?.status === 204 || answer?.status === 410) {
      entry.end = 'cancelled'
      return ledger.count('cancelled')
    }
    await judge(client, answer, `DELETE ${entry.id}`, entry)
    if (entry.end !== 'open') return
  }
  entry.end = 'abandoned'
  ledger.count('abandoned')
}

/** Whether an answer that is no success may be given; waits before the client comes back. */
async function judge({ ledger, chance }: Client, answer: Answer | null, what: string, entry?: Entry): Promise<void> {
  ledger.count(answer ? `answer ${answer.status}` : 'no answer')
  await sleep(chance.int(20, 400))
  if (!answer || answer.status === 503 || answer.status === 423 || answer.status === 409) return
  if (answer.status === 410 && entry) {
    entry.end = 'lost'
    return
  }
  ledger.complain(`${what} was answered with ${answer.status} ${answer.body.slice(0, 200)}`)
}

function lengthOfChunk(chance: Seeded, size: number): number {
  const kind = chance.next()
  if (kind < 0.15) return chance.int(1, 2000)
  if (kind < 0.45) return chance.int(2000, 400_000)
  if (kind < 0.8) return chance.int(1, Math.max(1, Math.ceil(size / 2)))
  return Math.max(1, size)
}

function mannerOf(chance: Seeded, length: number): Manner {
  const step = Math.max(1, Math.ceil(length / chance.int(3, 12)))
  const manner: Manner = { step, pauseMs: chance.chance(0.5) ? chance.int(5, 80) : 0, isChunked: chance.chance(0.2) }
  const way = chance.next()
  if (way < 0.1) manner.vanishAfter = chance.int(0, length)
  else if (way < 0.15) manner.silentAfter = chance.int(1, length)
  return manner
}

function isOver({ deadline }: Client): boolean {
  return performance.now() > deadline()
}
