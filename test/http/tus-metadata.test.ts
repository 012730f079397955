import { describe, expect, it } from 'vitest'
import { groupingOf } from '../../src/http/api/grouping.ts'
import { readPairs } from '../../src/http/tus-metadata.ts'

describe('the pairs of Upload-Metadata', () => {
  it.each<[string, Record<string, string>]>([
    ['', {}],
    ['  ', {}],
    ['filename YS50eHQ=', { filename: 'a.txt' }],
    ['filename YS50eHQ', { filename: 'a.txt' }],
    ['filename YS50eHQ=,is_secret', { filename: 'a.txt', is_secret: '' }],
    ['filename YS50eHQ=, note  ', { filename: 'a.txt', note: '' }],
    ['a.b:c-1 eA==', { 'a.b:c-1': 'x' }],
  ])('in %j are read', (header, expected) => {
    const pairs = readPairs(header)

    expect(Object.fromEntries([...pairs].map(([key, value]) => [key, value.toString()]))).toEqual(expected)
  })

  it.each([
    ['an empty key', ',filename YS50eHQ='],
    ['a key that is not ASCII', 'größe MQ=='],
    ['a key twice', 'a MQ==,a Mg=='],
    ['a value that is not Base64', 'filename a.txt'],
    ['two values', 'filename YS50 eHQ='],
    ['Base64 of the URL alphabet', 'hash -_-_'],
    ['padding in the middle', 'hash YQ==YQ=='],
    ['more than 8 KiB', `a ${'A'.repeat(8192)}`],
  ])('with %s are refused', (_, header) => {
    expect(() => readPairs(header)).toThrow(expect.objectContaining({ code: 'INVALID_METADATA' }))
  })
})

describe('the grouping of an upload', () => {
  it.each([
    [null, null, null],
    ['relativePath YS9iLnR4dA==,batch b25l', 'a/b.txt', 'one'],
    ['batch //8=,relativePath', null, null],
    ['not well formed', null, null],
  ])('in %j is %s, %s', (metadata, relativePath, batch) => {
    expect(groupingOf(metadata)).toEqual({ relativePath, batch })
  })
})
