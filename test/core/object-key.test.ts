import { describe, expect, it } from 'vitest'
import { defaultKeyTemplate, makeObjectKey, safeSegment, templateError } from '../../src/core/object-key.ts'

const words = {
  role: 'creator',
  user: 'ada',
  createdAt: new Date('2026-01-02T23:59:59Z'),
  category: 'image',
  unique: '0'.repeat(32),
  filename: 'a.png',
}
const keyOf = (difference: Partial<typeof words>) => makeObjectKey(defaultKeyTemplate, { ...words, ...difference })

describe('an object key', () => {
  it('says whose the file is, of when, and what', () => {
    expect(keyOf({})).toBe(`creator/ada/20260102/image/${'0'.repeat(32)}-a.png`)
  })

  it('keeps every script, in one spelling', () => {
    expect(keyOf({ filename: 'Zu\u0308rich 日本語 😀.png' })).toMatch(/-Z\u00fcrich 日本語 😀\.png$/)
  })

  it.each([
    ['../../etc/passwd', /-etc-passwd$/],
    ['a\u202Egpj.exe', /-agpj\.exe$/],
    ['a\r\nX-Header: 1', /-aX-Header- 1$/],
    ['..', /-file$/],
    ['\ud800', /-file$/],
  ])('has nothing of %j that a path or a header could use', (filename, end) => {
    expect(keyOf({ filename })).toMatch(end)
  })

  it.each(['x'.repeat(5000), '日'.repeat(5000), '👩‍👩‍👧‍👦'.repeat(500)])(
    'is as long as stores and disks take, with the extension kept',
    (name) => {
      const key = keyOf({ user: name, role: name, category: name, filename: `${name}.png` })

      expect(Buffer.byteLength(key)).toBeLessThanOrEqual(768)
      for (const segment of key.split('/')) expect(Buffer.byteLength(segment)).toBeLessThanOrEqual(255)
      expect(key).toMatch(/\.png$/)
      expect(key.isWellFormed()).toBe(true)
    },
  )

  it('is another one for every user, however alike their names are made', () => {
    const users = ['a/b', 'a:b', 'a-b', 'a b', ' a b', 'x'.repeat(200), 'x'.repeat(201)]

    expect(new Set(users.map((user) => keyOf({ user }))).size).toBe(users.length)
  })

  it.each([
    '{user}/{name}',
    '{unique}/{nobody}',
    '.landfall/{unique}',
    '/{unique}',
    'a//{unique}',
    'a/../{unique}',
    '{user}-{user}/{unique}',
    `${'{user}/'.repeat(6)}{unique}`,
  ])('is never made by the template %s', (template) => {
    expect(templateError(template)).not.toBeNull()
  })

  it('is never empty', () => {
    expect(safeSegment('', 10)).toBe('file')
  })
})
