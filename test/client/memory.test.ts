import { describe, expect, it } from 'vitest'
import { fingerprintOf, type KeyValueStorage, memoryOn } from '../../src/client/memory.ts'

const film = { name: 'film.mp4', type: 'video/mp4', size: 1000, lastModified: 5 }
const endpoint = 'https://example.org/files'
const day = 24 * 60 * 60 * 1000

function createStorage(): KeyValueStorage & { entries: Map<string, string> } {
  const entries = new Map<string, string>()
  return {
    entries,
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, value),
    removeItem: (key) => void entries.delete(key),
    key: (index) => [...entries.keys()][index] ?? null,
    get length() {
      return entries.size
    },
  }
}

describe('a fingerprint', () => {
  it('is the same for the same file', () => {
    expect(fingerprintOf({ ...film }, 'ada', endpoint)).toBe(fingerprintOf(film, 'ada', endpoint))
  })

  it.each([
    ['that was changed', { ...film, lastModified: 6 }, 'ada', endpoint],
    ['of another length', { ...film, size: 1001 }, 'ada', endpoint],
    ['of another name', { ...film, name: 'film-2.mp4' }, 'ada', endpoint],
    ['in another folder', { ...film, webkitRelativePath: 'b/film.mp4' }, 'ada', endpoint],
    ['of another user', film, 'grace', endpoint],
    ['for another server', film, 'ada', 'https://example.com/files'],
  ])('differs for a file %s', (_, file, owner, where) => {
    expect(fingerprintOf(file, owner, where)).not.toBe(fingerprintOf(film, 'ada', endpoint))
  })
})

describe('the memory', () => {
  it('knows the upload of a file after a reload', () => {
    const storage = createStorage()

    memoryOn(storage).remember('film', 'https://example.org/files/1')

    expect(memoryOn(storage).recall('film')).toBe('https://example.org/files/1')
    expect(memoryOn(storage).recall('other')).toBeNull()
  })

  it('forgets an upload when asked to, and after a month', () => {
    const storage = createStorage()
    memoryOn(storage, () => 0).remember('old', 'https://example.org/files/1')
    memoryOn(storage, () => 29 * day).remember('young', 'https://example.org/files/2')
    memoryOn(storage, () => 29 * day).remember('done', 'https://example.org/files/3')

    const memory = memoryOn(storage, () => 31 * day)
    memory.forget('done')

    expect(['old', 'young', 'done'].map(memory.recall)).toEqual([null, 'https://example.org/files/2', null])
  })

  it('ignores keys of others, and removes entries that it cannot read', () => {
    const storage = createStorage()
    storage.setItem('theme', 'dark')
    storage.setItem('landfall:upload:broken', '{')

    const memory = memoryOn(storage)

    expect(memory.recall('broken')).toBeNull()
    expect([...storage.entries.keys()]).toEqual(['theme'])
  })

  it('does not throw when the storage is full', () => {
    const full = {
      ...createStorage(),
      setItem: () => {
        throw new Error('QuotaExceededError')
      },
    }

    expect(() => memoryOn(full).remember('film', 'https://example.org/files/1')).not.toThrow()
  })
})
