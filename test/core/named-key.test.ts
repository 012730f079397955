import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeNamedKey } from '../../src/core/object-key.ts'

const id = '11111111-2222-4333-8444-555555555555'
const unique = 'f'.repeat(32)

describe('an object key named by a hook', () => {
  it.each([
    [`photos/${id}.jpg`, `photos/${id}.jpg`],
    [`photos/${unique}/a.jpg`, `photos/${unique}/a.jpg`],
    ['photos/a.jpg', `photos/${unique}-a.jpg`],
    ['a.jpg', `${unique}-a.jpg`],
    ['', `${unique}-file`],
    ['///', `${unique}-file`],
    ['/etc/../passwd', `etc/${unique}-passwd`],
    ['.landfall/partials/x', `landfall/partials/${unique}-x`],
    ['a\\..\\b/c\u0000d', `a-..-b/${unique}-cd`],
    ['ünïcode/日本.txt', `ünïcode/${unique}-日本.txt`],
  ])('%j becomes %s', (name, key) => {
    expect(makeNamedKey(name, id, unique)).toBe(key)
  })

  it('is always unique, below the root, and short enough for stores', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), fc.nat(40), (text, folders) => {
        const key = makeNamedKey(`${'folder/'.repeat(folders)}${text}`, id, unique)
        const segments = key.split('/')

        expect(key.includes(unique) || key.includes(id)).toBe(true)
        expect(Buffer.byteLength(key)).toBeLessThanOrEqual(1024)
        expect(segments.every((segment) => segment !== '' && Buffer.byteLength(segment) <= 255)).toBe(true)
        expect(segments.every((segment) => !segment.startsWith('.'))).toBe(true)
      }),
    )
  })

  it('stays unique when folders are removed to shorten it', () => {
    const folders = `${'x'.repeat(200)}/`.repeat(9)

    const key = makeNamedKey(`${folders}${id}/a.txt`, id, unique)

    expect(key).toMatch(new RegExp(`/${unique}-a\\.txt$`))
  })
})
