import { describe, expect, it } from 'vitest'
import { fingerprintOf, type KeyValueStorage, memoryOn } from '../../src/client/memory.ts'

const film = { name: 'film.mp4', type: 'video/mp4', size: 1000, lastModified: 5 }
const endpoint = 'https://example.org/files'
const day = 24 * 60 * 60 * 1000

function shelf(): KeyValueStorage & { entries: Map<string, string> } {
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
    ['changed since', { ...film, lastModified: 6 }, 'ada', endpoint],
    ['of another length', { ...film, size: 1001 }, 'ada', endpoint],
    ['of another name', { ...film, name: 'film-2.mp4' }, 'ada', endpoint],
    ['in another folder', { ...film, webkitRelativePath: 'b/film.mp4' }, 'ada', endpoint],
    ['of another user', film, 'grace', endpoint],
    ['for another server', film, 'ada', 'https://example.com/files'],
  ])('is another one for a file %s', (_, file, owner, where) => {
    expect(fingerprintOf(file, owner, where)).not.toBe(fingerprintOf(film, 'ada', endpoint))
  })
})

describe('the memory', () => {
  it('knows the upload of a file after a reload', () => {
    const kept = shelf()

    memoryOn(kept).remember('film', 'https://example.org/files/1')

    expect(memoryOn(kept).recall('film')).toBe('https://example.org/files/1')
    expect(memoryOn(kept).recall('other')).toBeNull()
  })

  it('forgets when told, and after a month', () => {
    const kept = shelf()
    memoryOn(kept, () => 0).remember('old', 'https://example.org/files/1')
    memoryOn(kept, () => 29 * day).remember('young', 'https://example.org/files/2')
    memoryOn(kept, () => 29 * day).remember('done', 'https://example.org/files/3')

    const memory = memoryOn(kept, () => 31 * day)
    memory.forget('done')

    expect(['old', 'young', 'done'].map(memory.recall)).toEqual([null, 'https://example.org/files/2', null])
  })

  it('leaves alone what is not its own, and bears what it cannot read', () => {
    const kept = shelf()
    kept.setItem('theme', 'dark')
    kept.setItem('landfall:upload:broken', '{')

    const memory = memoryOn(kept)

    expect(memory.recall('broken')).toBeNull()
    expect([...kept.entries.keys()]).toEqual(['theme'])
  })

  it('does without when the shelf is full', () => {
    const full = {
      ...shelf(),
      setItem: () => {
        throw new Error('QuotaExceededError')
      },
    }

    expect(() => memoryOn(full).remember('film', 'https://example.org/files/1')).not.toThrow()
  })
})
