import { describe, expect, it } from 'vitest'
import type { AnyUpload } from '../../src/contract/admin-uploads.ts'
import { csvOf } from '../../src/web/admin/csv.ts'
import { ceilingOf, pathOf } from '../../src/web/admin/now/curve.ts'
import { createSpeeds } from '../../src/web/admin/now/speeds.ts'
import { commonFields, fieldText, removedRoles, withField } from '../../src/web/admin/policies/common-fields.ts'
import { positionOf, readJson, writeJson } from '../../src/web/admin/policies/json.ts'
import { readSize } from '../../src/web/admin/size.ts'
import { sorted } from '../../src/web/admin/sorting.ts'
import { readMetadata } from '../../src/web/admin/uploads/metadata.ts'

const MiB = 1024 ** 2

describe('a plot', () => {
  it.each([
    [4, 5],
    [7, 10],
    [10, 10],
    [130, 200],
    [1024, 1024],
    [3.2 * MiB, 5 * MiB],
    [900 * MiB, 1000 * MiB],
  ])('of values up to %d has %d as its top', (max, top) => {
    expect(ceilingOf(max)).toBe(top)
  })

  it('spans the whole width, with y growing downwards', () => {
    expect(pathOf([0, 5, 10], 10, 100, 50)).toBe('M0 50L50 25L100 0')
    expect(pathOf([10], 10, 100, 50)).toBe('M0 0')
  })
})

describe('the speed of an upload', () => {
  const at = (received: number, seconds: number) =>
    ({ id: 'film', received, updatedAt: new Date(seconds * 1000).toISOString() }) as AnyUpload

  it('is measured over its last parts, regardless of the polling rate', () => {
    const speeds = createSpeeds()

    for (const [received, seconds] of [
      [0, 0],
      [8, 4],
      [8, 4],
      [8, 4],
      [16, 8],
    ] as const) {
      speeds.record([at(received * MiB, seconds)], seconds * 1000)
    }

    expect(speeds.of('film', 8000)).toBe(2 * MiB)
  })

  it('is unknown before two parts, after a long stall, and after the end', () => {
    const speeds = createSpeeds()
    speeds.record([at(0, 0)], 0)
    expect(speeds.of('film', 0)).toBeNull()

    speeds.record([at(8, 4)], 4000)

    expect(speeds.of('film', 5000)).toBe(2)
    expect(speeds.of('film', 60_000)).toBeNull()
    speeds.record([], 61_000)
    expect(speeds.of('film', 61_000)).toBeNull()
  })
})

describe('policies as text', () => {
  const types = ['image/*', 'video/*', 'application/pdf', 'application/rtf', 'application/msword', 'text/*']
  const policies = { default: {}, roles: { member: { maxSize: '2 GiB', mediaTypes: types, timeToLive: null } } }

  it('keep short values on one line, and parse to the same policies', () => {
    const text = writeJson(policies)

    expect(text).toContain('\n  "default": {},\n')
    expect(text).toContain('"image/*", "video/*", "application/pdf"')
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(90)
    expect(readJson(text)).toEqual({ json: policies })
  })

  it.each(['', '{', '{"roles": {},}', '[]', 'null', '7'])('that are not a JSON object (%s) are a problem', (text) => {
    expect(readJson(text)).toHaveProperty('problem')
  })

  it('are searched for the field that a problem names', () => {
    const text = writeJson(policies)

    expect(text.slice(positionOf(text, 'roles.member.maxSize: expected a size')).startsWith('"maxSize"')).toBe(true)
    expect(text.slice(positionOf(text, 'roles.member.nonsense: there is no such field')).startsWith('"member"')).toBe(
      true,
    )
    expect(positionOf(text, 'nowhere: at all')).toBe(-1)
  })
})

describe('sizes and metadata', () => {
  it.each([
    ['1000', 1000],
    ['20 MiB', 20 * MiB],
    ['1.5g', 1536 * MiB],
    ['3 KB', 3072],
    ['three', undefined],
    ['', undefined],
  ])('the size %s is %s', (text, bytes) => {
    expect(readSize(text)).toBe(bytes)
  })

  it('tus metadata is decoded; an invalid header is returned unchanged', () => {
    const name = Buffer.from('Übersicht.pdf').toString('base64')

    expect(readMetadata(`filename ${name},is_final`)).toBe('filename Übersicht.pdf, is_final')
    expect(readMetadata('filename ???')).toBe('filename ???')
  })
})

describe('a role that a change would remove', () => {
  const before = { default: {}, roles: { member: { maxSize: '2 GiB' }, creator: {} } }

  it('is listed; a role that was only changed is not', () => {
    expect(removedRoles(before, { roles: { member: {} } })).toEqual(['creator'])
    expect(removedRoles(before, {})).toEqual(['member', 'creator'])
    expect(removedRoles(before, before)).toEqual([])
  })
})

describe('the form of a role', () => {
  const field = (name: string) => commonFields.find((candidate) => candidate.name === name)!
  const policies = { default: {}, roles: { member: { maxSize: '2 GiB', timeToLive: null } } }

  it.each([
    ['maxSize', '3 GiB', { maxSize: '3 GiB', timeToLive: null }],
    ['maxSize', 'unlimited', { maxSize: null, timeToLive: null }],
    ['maxSize', ' ', { timeToLive: null }],
    ['totalFiles', '12', { maxSize: '2 GiB', timeToLive: null, totalFiles: 12 }],
    [
      'mediaTypes',
      'image/*, text/plain',
      { maxSize: '2 GiB', timeToLive: null, mediaTypes: ['image/*', 'text/plain'] },
    ],
  ])('writes %s = "%s" into its section and leaves the rest', (name, text, role) => {
    expect(withField(policies, 'member', field(name), text)).toEqual({ default: {}, roles: { member: role } })
  })

  it('shows the values of a section', () => {
    expect(fieldText({ maxSize: null }, field('maxSize'))).toBe('unlimited')
    expect(fieldText({ mediaTypes: ['a/b', 'c/*'] }, field('mediaTypes'))).toBe('a/b, c/*')
    expect(fieldText({}, field('totalFiles'))).toBe('')
  })
})

describe('a table', () => {
  it('is sorted by number and text, with unknown values last', () => {
    const sizes = [null, 20, 3, 100]
    const identity = <T>(value: T) => value

    expect(sorted(sizes, identity, false)).toEqual([3, 20, 100, null])
    expect(sorted(sizes, identity, true)).toEqual([100, 20, 3, null])
    expect(sorted(['b10', 'b9', 'a'], identity, false)).toEqual(['a', 'b9', 'b10'])
  })

  it('is exported without cells that a spreadsheet would evaluate', () => {
    const rows = [['=1+1', 'a "b", c', null, 5, 'two\nlines']]

    expect(csvOf(['Name', 'Note', 'None', 'Size', 'Text'], rows)).toBe(
      'Name,Note,None,Size,Text\r\n\'=1+1,"a ""b"", c",,5,"two\nlines"',
    )
  })
})
