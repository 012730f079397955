import { describe, expect, it } from 'vitest'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { createTailCache } from '../../../src/core/memory/tail-cache.ts'
import { Part, partTransitions } from '../../../src/core/parts/part.ts'
import { PartBuffer } from '../../../src/core/parts/part-buffer.ts'
import type { Bytes } from '../../../src/core/ports/object-store.ts'
import { memoryStore } from '../../support/memory-store.ts'

async function read(bytes: Bytes): Promise<string> {
  let text = ''
  for await (const chunk of bytes.chunks()) text += chunk.toString()
  return text
}

/** A part of a body, whose tail objects and whose part are written when the test says so. */
function openPart({ canCache = true, limit = 1000 } = {}) {
  const budget = createMemoryBudget(limit)
  const cache = createTailCache(budget)
  const store = memoryStore()
  const writes: { text: string; bytes: Bytes; resolve(): void; reject(error: Error): void }[] = []
  const dropped: string[] = []
  async function waitForTest(bytes: Bytes) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    writes.push({ text: await read(bytes), bytes, resolve, reject })
    await promise
  }
  const tails = {
    async write(bytes: Bytes) {
      const key = `tail-${writes.length + 1}`
      await waitForTest(bytes)
      store.objects.set(key, Buffer.from(writes.at(-1)!.text))
      return { key, size: bytes.size }
    },
    drop: (keys: string[]) => void dropped.push(...keys),
  }
  const buffer = new PartBuffer({ store, budget, cache, tails, joinBelow: 100, canDetach: true, canCache })
  const part = new Part(1, buffer)
  const add = (text: string) => buffer.add(Buffer.from(new TextEncoder().encode(text).buffer))
  const send = () =>
    part.send(async (bytes) => {
      await waitForTest(bytes)
      return { number: 1, size: bytes.size, etag: 'etag', crc32: 7 }
    })
  const written = async (count: number) => {
    while (writes.length < count) await new Promise((resolve) => setImmediate(resolve))
    return writes[count - 1]!
  }
  return { part, buffer, budget, cache, store, add, send, written, dropped }
}

type Opened = ReturnType<typeof openPart>
const states = ['filling', 'spilling', 'deferred', 'sending', 'stored'] as const

/** Brings a part into a state. */
async function into(state: (typeof states)[number], { part, add, send, written }: Opened): Promise<void> {
  add('abc')
  if (state === 'spilling') void part.spill().catch(() => {})
  if (state === 'deferred') void part.defer().catch(() => {})
  if (state === 'sending') void send().catch(() => {})
  if (state === 'stored') {
    const sent = send()
    ;(await written(1)).resolve()
    await sent
  }
}

describe('a part', () => {
  it.each(
    states.flatMap((from) =>
      (['deferred', 'sending'] as const).map((to) => [from, to, partTransitions[from].includes(to)] as const),
    ),
  )('that is %s becomes %s: %s', async (from, to, isAllowed) => {
    const opened = openPart()
    await into(from, opened)

    const moved = to === 'deferred' ? opened.part.defer() : opened.send()
    moved.catch(() => {})

    expect(opened.part.state).toBe(isAllowed ? to : from)
    if (!isAllowed) await expect(moved).rejects.toThrow(`a part that is ${from} does not become ${to}`)
  })

  it.each([
    ['filling', 'spilling'],
    ['spilling', 'spilling'],
    ['deferred', 'deferred'],
    ['sending', 'sending'],
    ['stored', 'stored'],
  ] as const)('that is %s and is to be spilled is %s', async (from, to) => {
    const opened = openPart()
    await into(from, opened)

    opened.part.spill().catch(() => {})

    expect(opened.part.state).toBe(to)
  })

  it('fills again when it was spilled, and takes bytes meanwhile', async () => {
    const { part, buffer, add, written } = openPart()
    add('abc')
    const spilled = part.spill()
    add('de')
    const write = await written(1)
    write.resolve()
    await spilled

    expect([part.state, write.text, buffer.size, buffer.inMemory]).toEqual(['filling', 'abc', 5, 2])
    expect(await read(buffer.seal())).toBe('abcde')
  })

  it('that becomes full while it is spilled is sent from memory, without a new tail', async () => {
    const { part, budget, add, send, written, dropped, buffer } = openPart()
    add('abc')
    const spilled = part.spill()
    add('de')
    const sent = send()
    const write = await written(2)
    for (const at of [1, 2]) (await written(at)).resolve()
    await Promise.all([spilled, sent])

    expect([part.state, write.text, buffer.tailObjects, dropped]).toEqual(['stored', 'abcde', [], ['tail-1']])
    expect(budget.used).toBe(0)
  })

  it('that is deferred while it is spilled writes its other bytes next', async () => {
    const { part, buffer, add, written } = openPart()
    add('abc')
    const spilled = part.spill()
    add('de')
    const deferred = part.defer()
    for (const at of [1, 2]) (await written(at)).resolve()
    await Promise.all([spilled, deferred])

    expect([part.state, buffer.inMemory]).toEqual(['deferred', 0])
    expect(buffer.tailObjects.map(({ size }) => size)).toEqual([3, 2])
  })

  it.each(['spill', 'defer', 'send'] as const)('gives its memory back when its %s fails', async (what) => {
    const { part, budget, add, send, written } = openPart()
    add('abc')
    const failed = what === 'send' ? send() : part[what]()
    add('de')
    ;(await written(1)).reject(new Error('the store is away'))

    await expect(failed).rejects.toThrow('the store is away')
    expect(budget.used).toBe(0)
  })

  it('has no receipt before the store has confirmed it', async () => {
    const { part, add, send, written } = openPart()
    add('abc')
    const sent = send()
    const before = part.receipt
    ;(await written(1)).resolve()
    await sent

    expect([before, part.receipt]).toEqual([null, { number: 1, size: 3, etag: 'etag', crc32: 7 }])
  })
})

describe('the bytes of a part', () => {
  it('join small tail objects when there are many', async () => {
    const { buffer, add, written, dropped } = openPart({ canCache: false })
    for (let at = 1; at <= 17; at += 1) {
      add(String.fromCharCode(96 + at))
      const spilled = buffer.spill()
      ;(await written(at)).resolve()
      await spilled
    }

    expect(buffer.tailObjects).toEqual([{ key: 'tail-17', size: 17 }])
    expect(dropped).toHaveLength(16)
    expect(await read(buffer.seal())).toBe('abcdefghijklmnopq')
  })

  it('are cached when they are spilled, or else read back from the store', async () => {
    const [cached, other] = [openPart(), openPart({ canCache: false })]
    for (const { buffer, add, written } of [cached, other]) {
      add('abc')
      const spilled = buffer.spill()
      ;(await written(1)).resolve()
      await spilled
    }
    cached.store.objects.clear()

    expect(await read(cached.buffer.seal())).toBe('abc')
    expect(await read(other.buffer.seal())).toBe('abc')
    expect([cached.budget.used, other.budget.used]).toEqual([3, 0])
  })

  it('are not detached while a tail object is written of them', async () => {
    const { part, add, send, written, buffer } = openPart()
    add('abc')
    const spilled = part.spill()
    const sent = send()
    ;(await written(2)).resolve()
    await sent

    const spill = await written(1)
    const text = await read(spill.bytes)
    spill.resolve()
    await spilled

    expect([text, buffer.size]).toEqual(['abc', 3])
  })
})
