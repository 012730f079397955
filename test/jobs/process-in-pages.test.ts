import { expect, it } from 'vitest'
import { errors } from '../../src/core/errors/errors.ts'
import { processInPages } from '../../src/jobs/process-in-pages.ts'

/** Due ids in pages of two. A test removes the ids that were processed from `due`. */
function dueOf(...ids: string[]) {
  const due = new Set(ids)
  const attempts: string[] = []
  return { due, attempts, next: async (tried: number) => [...due].slice(0, 2 + tried) }
}

it('continues after a full page', async () => {
  const { due, next } = dueOf('a', 'b', 'c', 'd', 'e')

  expect(await processInPages(next, async (id) => due.delete(id))).toBe(5)
})

it('processes the rest after a failing upload, and reports its error at the end', async () => {
  const { due, attempts, next } = dueOf('broken', 'b')

  const work = processInPages(next, async (id) => {
    attempts.push(id)
    if (id === 'broken') throw new Error('always fails')
    return due.delete(id)
  })

  await expect(work).rejects.toMatchObject({ errors: [{ message: 'always fails' }] })
  expect(attempts).toEqual(['broken', 'b'])
})

it('gets past more failing uploads than fit on a page', async () => {
  const { due, next } = dueOf('broken', 'broken too', 'and this', 'd', 'e')

  const done = processInPages(next, async (id) => (id.length > 1 ? false : due.delete(id)))

  expect(await done).toBe(2)
})

it('tries an upload that must wait only once', async () => {
  const { attempts, next } = dueOf('a', 'b')

  expect(await processInPages(next, async (id) => attempts.push(id) < 0)).toBe(0)
  expect(attempts).toEqual(['a', 'b'])
})

it('stops at once when the database is away', async () => {
  const { attempts, next } = dueOf('a', 'b')
  const away = errors.databaseUnavailable({})

  await expect(
    processInPages(next, async (id) => {
      attempts.push(id)
      throw away
    }),
  ).rejects.toBe(away)
  expect(attempts).toEqual(['a'])
})
