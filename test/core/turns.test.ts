import { PassThrough, type Readable } from 'node:stream'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { receiveBody } from '../../src/core/body/receive-body.ts'
import { createTurns, type Turns, workFor, workForAll } from '../../src/core/turns.ts'
import { readForm } from '../../src/protocols/rest/form.ts'

const timeout = () => new Error('no turn')
const open = (most = 1, timeoutMs = 60_000) => createTurns(most, timeoutMs, timeout)

/** Begins a turn for each of `users` and notes when it is their turn. */
function queue(turns: Turns, users: (string | null)[]): string[] {
  const order: string[] = []
  for (const user of users) {
    const begin = () => turns.begin().then(() => order.push(user ?? 'all'))
    void (user === null ? workForAll(begin) : workFor(user, begin))
  }
  return order
}

async function endAll(turns: Turns, count: number): Promise<void> {
  for (let ended = 0; ended < count; ended += 1) {
    turns.end()
    await turnOfLoop()
  }
}

describe('turns', () => {
  it('begin at once while few are running', async () => {
    const turns = open(3)
    const order = queue(turns, ['ann', 'ann', 'bob', 'cem'])
    await turnOfLoop()

    expect(order).toEqual(['ann', 'ann', 'bob'])
    await endAll(turns, 1)
    expect(order).toEqual(['ann', 'ann', 'bob', 'cem'])
  })

  it('alternate between users, however many each waits for', async () => {
    const turns = open()
    await turns.begin()
    const order = queue(turns, ['ann', 'ann', 'ann', 'bob', null, 'bob', 'cem'])

    await endAll(turns, 7)

    expect(order).toEqual(['ann', 'bob', 'all', 'cem', 'ann', 'bob', 'ann'])
    expect(turns.waiting()).toBe(0)
  })

  it('are given up by those who wait for too long', async () => {
    const turns = open(1, 1)
    await turns.begin()

    await expect(workFor('ann', () => turns.begin())).rejects.toThrow('no turn')

    expect(turns.waiting()).toBe(0)
    turns.end()
    await turns.begin()
  })
})

/** Reads `body`, and begins a turn when its first bytes arrive. */
type Read = (body: Readable, beginTurn: () => Promise<void>) => Promise<unknown>

const readings: [string, string, Read][] = [
  [
    'a body',
    'hello',
    (body, beginTurn) =>
      receiveBody(body, {
        limit: 5,
        idleMs: 0,
        minSpeed: 0,
        totalMs: 0,
        signal: new AbortController().signal,
        take: () => beginTurn(),
      }),
  ],
  ...['file', 'field'].map((kind): [string, string, Read] => [
    `a form with a ${kind}`,
    `--b\r\nContent-Disposition: form-data; name="a"${kind === 'file' ? '; filename="a"' : ''}\r\n\r\nhello\r\n--b--\r\n`,
    (body, beginTurn) => {
      const headers = { 'content-type': 'multipart/form-data; boundary=b' }
      return readForm(
        { raw: body, headers } as unknown as FastifyRequest,
        { idleMs: 0 },
        {
          field: () => void beginTurn(),
          async file(_filename, _type, file) {
            file.resume()
            await beginTurn()
          },
        },
      )
    },
  ]),
]

it.each(readings)('the bytes of %s are taken for the user whose request it is', async (_what, bytes, read) => {
  const turns = open()
  await turns.begin()
  const order = queue(turns, [null, null])
  const body = new PassThrough()
  const reading = workFor('ann', () => read(body, () => turns.begin().then(() => void order.push('ann'))))
  await turnOfLoop()

  body.end(bytes)
  while (turns.waiting() < 3) await turnOfLoop()
  await endAll(turns, 3)
  await reading

  expect(order).toEqual(['all', 'ann', 'all'])
})
