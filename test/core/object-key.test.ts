import { describe, expect, it } from 'vitest'
import { defaultKeyTemplate, makeObjectKey, safeSegment, templateError } from '../../src/core/object-key.ts'

const values = {
  role: 'creator',
  user: 'ada',
  createdAt: new Date('2026-01-02T23:59:59Z'),
  category: 'image',
  unique: '0'.repeat(32),
  filename: 'a.png',
}
const keyOf = (difference: Partial<typeof values>) => makeObjectKey(defaultKeyTemplate, { ...values, ...difference })

describe('an object key', () => {
  it('has the owner, the day, the category and the name of the file', () => {
    expect(keyOf({})).toBe(`creator/ada/20260102/image/${'0'.repeat(32)}-a.png`)
  })

  it('keeps all scripts, in one normal form', () => {
    expect(keyOf({ filename: 'Zu\u0308rich 日本語 😀.png' })).toMatch(/-Z\u00fcrich 日本語 😀\.png$/)
  })

  it.each([
    ['../../etc/passwd', /-etc-passwd$/],
    ['a\u202Egpj.exe', /-agpj\.exe$/],
    ['a\r\nX-Header: 1', /-aX-Header- 1$/],
    ['..', /-file$/],
    ['\ud800', /-file$/],
  ])('has no characters of %j that are unsafe in paths and headers', (filename, end) => {
    expect(keyOf({ filename })).toMatch(end)
  })

  it.each(['x'.repeat(5000), '日'.repeat(5000), '👩‍👩‍👧‍👦'.repeat(500)])(
    'is shortened to what stores and disks allow, and keeps the extension',
    (name) => {
      const key = keyOf({ user: name, role: name, category: name, filename: `${name}.png` })

      expect(Buffer.byteLength(key)).toBeLessThanOrEqual(768)
      for (const segment of key.split('/')) expect(Buffer.byteLength(segment)).toBeLessThanOrEqual(255)
      expect(key).toMatch(/\.png$/)
      expect(key.isWellFormed()).toBe(true)
    },
  )

  it('differs between users with similar names', () => {
    const users = ['a/b', 'a:b', 'a-b', 'a b', ' a b', 'x'.repeat(200), 'x'.repeat(201)]

    expect(new Set(users.map((user) => keyOf({ user }))).size).toBe(users.length)
  })

  it.each([
    '{user}/{name}',
    '{unique}/{unknown}',
    '.landfall/{unique}',
    '/{unique}',
    'a//{unique}',
    'a/../{unique}',
    '{user}-{user}/{unique}',
    `${'{user}/'.repeat(6)}{unique}`,
  ])('is never made from the invalid template %s', (template) => {
    expect(templateError(template)).not.toBeNull()
  })

  it('is never empty', () => {
    expect(safeSegment('', 10)).toBe('file')
  })
})
