import { expect, it } from 'vitest'
import { UploadError } from '../../src/core/errors/error.ts'
import { processInPages } from '../../src/jobs/process-in-pages.ts'

/** Ids that are due, two at a time; what was done is due no more. */
function dueOf(...ids: string[]) {
  const due = new Set(ids)
  const seen: string[] = []
  return { due, seen, next: async (tried: number) => [...due].slice(0, 2 + tried) }
}

it('goes on after a page that is full', async () => {
  const { due, next } = dueOf('a', 'b', 'c', 'd', 'e')

  expect(await processInPages(next, async (id) => due.delete(id))).toBe(5)
})

it('does what is next to an upload that cannot be helped, and tells of that at the end', async () => {
  const { due, seen, next } = dueOf('broken', 'b')

  const work = processInPages(next, async (id) => {
    seen.push(id)
    if (id === 'broken') throw new Error('cannot be helped')
    return due.delete(id)
  })

  await expect(work).rejects.toMatchObject({ errors: [{ message: 'cannot be helped' }] })
  expect(seen).toEqual(['broken', 'b'])
})

it('gets past more uploads that cannot be helped than there are on a page', async () => {
  const { due, next } = dueOf('broken', 'broken too', 'and this', 'd', 'e')

  const done = processInPages(next, async (id) => (id.length > 1 ? false : due.delete(id)))

  expect(await done).toBe(2)
})

it('tries no upload twice that must wait', async () => {
  const { seen, next } = dueOf('a', 'b')

  expect(await processInPages(next, async (id) => seen.push(id) < 0)).toBe(0)
  expect(seen).toEqual(['a', 'b'])
})

it('stops at once when the database is away', async () => {
  const { seen, next } = dueOf('a', 'b')
  const away = new UploadError('DATABASE_ERROR', 'away')

  await expect(
    processInPages(next, async (id) => {
      seen.push(id)
      throw away
    }),
  ).rejects.toBe(away)
  expect(seen).toEqual(['a'])
})
