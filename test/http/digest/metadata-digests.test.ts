import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { statedDigests } from '../../../src/http/digest/metadata-digests.ts'

const file = Buffer.from('hello')
const sum = (algorithm: string) => createHash(algorithm).update(file)
const hex = (algorithm: string) => sum(algorithm).digest('hex')
const base64 = (algorithm: string) => sum(algorithm).digest('base64')
const stated = (...pairs: [string, string | Buffer][]) =>
  statedDigests(pairs.map(([key, value]) => [key, Buffer.from(value as string)]))

describe('a checksum in Upload-Metadata', () => {
  it.each<[string, string, string | Buffer, string]>([
    ['sha-256', 'sha256', hex('sha256'), 'sha256'],
    ['sha-256', 'sha-256', base64('sha256'), 'sha256'],
    ['sha-256', 'SHA256', hex('sha256').toUpperCase(), 'sha256'],
    ['sha-256', 'checksumSha256', sum('sha256').digest('base64url'), 'sha256'],
    ['sha-256', 'sha256', `sha256:${hex('sha256')}`, 'sha256'],
    ['sha-256', 'sha256', sum('sha256').digest(), 'sha256'],
    ['sha-256', 'checksum', `sha256 ${base64('sha256')}`, 'sha256'],
    ['sha-256', 'checksum', `sha-256=:${base64('sha256')}:`, 'sha256'],
    ['sha-256', 'checksum', hex('sha256'), 'sha256'],
    ['sha-512', 'sha512', base64('sha512'), 'sha512'],
    ['sha-512', 'checksum', hex('sha512'), 'sha512'],
    ['sha', 'sha1', hex('sha1'), 'sha1'],
    ['sha', 'checksum', `SHA1 ${hex('sha1')}`, 'sha1'],
    ['sha', 'checksum', hex('sha1'), 'sha1'],
    ['md5', 'md5', ` ${hex('md5')}\n`, 'md5'],
    ['md5', 'md5sum', base64('md5'), 'md5'],
    ['md5', 'content-md5', base64('md5'), 'md5'],
    ['md5', 'checksum', `md5:${hex('md5')}`, 'md5'],
  ])('is read as %s: %s %s', (algorithm, key, value, name) => {
    expect(stated(['filename', 'a.txt'], [key, value])).toEqual({ [algorithm]: base64(name) })
  })

  it.each<[string, string]>([
    ['checksum', base64('sha256')],
    ['checksum', `adler32 ${hex('md5')}`],
    ['checksum', `sha256 ${hex('md5')}`],
    ['checksum', hex('sha256').slice(1)],
    ['checksum', ''],
    ['hash', hex('sha256')],
    ['sha256', 'unknown'],
    ['sha256', `md5:${hex('md5')}`],
    ['sha256', hex('md5')],
    ['md5', 'no md5 was made.'],
    ['relativePath', hex('sha256')],
  ])('is ignored if it may be something else: %s %s', (key, value) => {
    expect(stated([key, value])).toEqual({})
  })

  it('that is stated twice is read if the values agree, and ignored if they differ', () => {
    expect(stated(['md5', hex('md5')], ['checksum', base64('md5')], ['Content-MD5', base64('md5')])).toEqual({
      md5: base64('md5'),
    })
    expect(stated(['sha1', hex('sha1')], ['checksum', '0'.repeat(40)], ['md5', hex('md5')])).toEqual({
      md5: base64('md5'),
    })
  })
})
