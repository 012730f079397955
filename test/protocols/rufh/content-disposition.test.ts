import { describe, expect, it } from 'vitest'
import { filenameIn } from '../../../src/protocols/rufh/content-disposition.ts'
import { representationOf } from '../../../src/protocols/rufh/representation.ts'
import { cpuTimeOf } from '../../support/cpu-time.ts'

const inLatin1 = (text: string) => Buffer.from(text).toString('latin1')
const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('the name in Content-Disposition', () => {
  it.each([
    ['inline; filename="file name.jpg"', 'file name.jpg'],
    ['attachment; filename=plain.txt', 'plain.txt'],
    ['attachment;filename=plain.txt;size=3', 'plain.txt'],
    ['inline; filename="a.jpg"; filename*=UTF-8\'\'na%C3%AFve%20file.jpg', 'naïve file.jpg'],
    ["inline; filename*=utf-8'en'%e2%82%ac%20rates.txt; filename=fallback.txt", '€ rates.txt'],
    ["inline; filename*=ISO-8859-1''%A3.txt", '£.txt'],
    ['inline; FILENAME="upper.txt"', 'upper.txt'],
    [String.raw`inline; filename="with \"quotes\" and ; semicolon.txt"`, 'with "quotes" and ; semicolon.txt'],
    [`inline; filename="${inLatin1('grüße.txt')}"`, 'grüße.txt'],
    ['inline; filename="gr\xfc\xdfe.txt"', 'grüße.txt'],
    ['inline; filename="../../etc/passwd"', 'passwd'],
    ['inline; filename="C:\\\\dir\\\\a.txt"', 'a.txt'],
    // `filename` is used when `filename*` cannot be decoded.
    ["inline; filename*=UTF-8''%FF%FE; filename=plain.txt", 'plain.txt'],
    ["inline; filename*=KOI8-R''%C1; filename=plain.txt", 'plain.txt'],
    ['inline; filename="a.txt"; filename="b.txt"', 'a.txt'],
  ])('in %s is %s', (header, name) => {
    expect(filenameIn(header)).toBe(name)
  })

  it.each([
    undefined,
    '',
    'inline',
    'inline; filename',
    'inline; filename=',
    'inline; name="x"',
    ';;;',
    'inline; filename="open',
  ])('is absent in %s', (header) => {
    expect(filenameIn(header)).toBeUndefined()
  })

  it('is searched in linear time', async () => {
    const ms = await cpuTimeOf(() => {
      filenameIn(`inline; filename="${'\\"'.repeat(8_000)}`)
      filenameIn(`inline${'; a=b'.repeat(4_000)}; filename`)
    })

    expect(ms).toBeLessThan(500)
  })
})

describe('name and type of a file', () => {
  it('come from Content-Disposition and Content-Type', () => {
    expect(
      representationOf({
        'content-type': 'Image/PNG; charset=binary',
        'content-disposition': 'inline; filename="a.png"',
        'upload-metadata': `filename ${base64('b.gif')},filetype ${base64('image/gif')}`,
      }),
    ).toMatchObject({ filename: 'a.png', contentType: 'image/png' })
  })

  it.each(['application/partial-upload', 'application/octet-stream', undefined])(
    'come from Upload-Metadata when Content-Type is %s',
    (type) => {
      const metadata = `filename ${base64('grüße.gif')},filetype ${base64('image/gif')},category ${base64('image')}`

      expect(representationOf({ ...(type && { 'content-type': type }), 'upload-metadata': metadata })).toEqual({
        filename: 'grüße.gif',
        contentType: 'image/gif',
        category: 'image',
        digests: null,
        metadata,
      })
    },
  )

  it('may be unknown, but not in an invalid Upload-Metadata', () => {
    for (const broken of ['filename not!base64', 'a YQ==,a YQ==', 'ä YQ=='])
      expect(() => representationOf({ 'upload-metadata': broken })).toThrow('Upload-Metadata')
    const unknown = { filename: '', contentType: '', category: undefined, digests: null, metadata: null }
    expect(representationOf({})).toEqual(unknown)
  })
})
