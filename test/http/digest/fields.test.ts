import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  readContentMd5,
  readDigestField,
  readUploadChecksum,
  tusAlgorithmNames,
} from '../../../src/http/digest/fields.ts'

const hello = Buffer.from('hello')
const sum = (algorithm: string) => createHash(algorithm).update(hello).digest()
const base64 = (algorithm: string) => sum(algorithm).toString('base64')

describe('Content-Digest and Repr-Digest', () => {
  const both = ['sha-256', 'sha-512'] as const

  it.each<[string, string, Record<string, Buffer> | null]>([
    ['one algorithm', `sha-256=:${base64('sha256')}:`, { 'sha-256': sum('sha256') }],
    [
      'both',
      `sha-512=:${base64('sha512')}:, sha-256=:${base64('sha256')}:`,
      { 'sha-256': sum('sha256'), 'sha-512': sum('sha512') },
    ],
    ['parameters', `sha-256=:${base64('sha256')}:;x=1`, { 'sha-256': sum('sha256') }],
    ['a digest of another length', 'sha-256=:AAAA:', { 'sha-256': Buffer.alloc(3) }],
    ['no field', '', {}],
    ['an algorithm that does not count', `md5=:${base64('md5')}:`, {}],
    [
      'an algorithm that does not count, of any type',
      `unixsum=5, sha-256=:${base64('sha256')}:`,
      { 'sha-256': sum('sha256') },
    ],
    ['a text in place of bytes', `sha-256="${base64('sha256')}"`, null],
    ['a flag in place of bytes', 'sha-256', null],
    ['no dictionary', `sha-256=${base64('sha256')}`, null],
    ['an upper-case name', `SHA-256=:${base64('sha256')}:`, null],
  ])('with %s: %s', (_, text, expected) => {
    const stated = readDigestField(text, both)

    expect(stated && Object.fromEntries(stated.map(({ algorithm, value }) => [algorithm, value]))).toEqual(expected)
  })
})

describe('Content-MD5', () => {
  it.each<[string, Buffer | null]>([
    [base64('md5'), sum('md5')],
    [` ${base64('md5')} `, sum('md5')],
    [base64('md5').replace(/=+$/, ''), null],
    [sum('md5').toString('hex'), null],
    [base64('sha1'), null],
    ['', null],
  ])('%j', (text, value) => {
    expect(readContentMd5(text)).toEqual(value && { algorithm: 'md5', value })
  })
})

describe('Upload-Checksum', () => {
  it.each<[string, { algorithm: string; value: Buffer } | null]>([
    [`sha1 ${base64('sha1')}`, { algorithm: 'sha', value: sum('sha1') }],
    [`sha256 ${base64('sha256')}`, { algorithm: 'sha-256', value: sum('sha256') }],
    [` md5 ${base64('md5')} `, { algorithm: 'md5', value: sum('md5') }],
    ['crc32 NhCmhg==', { algorithm: 'crc32', value: Buffer.from('3610a686', 'hex') }],
    [`sha-256 ${base64('sha256')}`, null],
    [`SHA1 ${base64('sha1')}`, null],
    [`sha1  ${base64('sha1')}`, null],
    ['sha1', null],
    ['sha1 !', null],
    ['toString AAAA', null],
    ['', null],
  ])('%j', (text, expected) => {
    expect(readUploadChecksum(text)).toEqual(expected)
  })

  it('has every algorithm that the server announces', () => {
    expect(tusAlgorithmNames).toBe('sha1,sha256,sha512,md5,crc32')
    for (const name of tusAlgorithmNames.split(',')) expect(readUploadChecksum(`${name} AAAA`)).not.toBeNull()
  })
})
