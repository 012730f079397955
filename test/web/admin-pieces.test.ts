import { describe, expect, it } from 'vitest'
import type { AnyUpload } from '../../src/client/admin-types.ts'
import { ceilingOf, pathOf } from '../../src/web/admin/now/curve.ts'
import { createSpeeds } from '../../src/web/admin/now/speeds.ts'
import { placeOf, readJson, writeJson } from '../../src/web/admin/policies/json.ts'
import { readSize } from '../../src/web/admin/size.ts'
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
  ])('of values up to %d has %d as its top', (most, top) => {
    expect(ceilingOf(most)).toBe(top)
  })

  it('goes from edge to edge, upside down as drawings are', () => {
    expect(pathOf([0, 5, 10], 10, 100, 50)).toBe('M0 50L50 25L100 0')
    expect(pathOf([10], 10, 100, 50)).toBe('M0 0')
  })
})

describe('the speed of an upload', () => {
  const at = (received: number, seconds: number) =>
    ({ id: 'film', received, updatedAt: new Date(seconds * 1000).toISOString() }) as AnyUpload

  it('is that of its last parts, however often one looks', () => {
    const speeds = createSpeeds()

    for (const [received, seconds] of [
      [0, 0],
      [8, 4],
      [8, 4],
      [8, 4],
      [16, 8],
    ] as const) {
      speeds.saw([at(received * MiB, seconds)], seconds * 1000)
    }

    expect(speeds.of('film', 8000)).toBe(2 * MiB)
  })

  it('is not told before there are two parts, when nothing comes for long, and of what is over', () => {
    const speeds = createSpeeds()
    speeds.saw([at(0, 0)], 0)
    expect(speeds.of('film', 0)).toBeNull()

    speeds.saw([at(8, 4)], 4000)

    expect(speeds.of('film', 5000)).toBe(2)
    expect(speeds.of('film', 60_000)).toBeNull()
    speeds.saw([], 61_000)
    expect(speeds.of('film', 61_000)).toBeNull()
  })
})

describe('policies as text', () => {
  const types = ['image/*', 'video/*', 'application/pdf', 'application/rtf', 'application/msword', 'text/*']
  const policies = { default: {}, roles: { member: { maxSize: '2 GiB', mediaTypes: types, timeToLive: null } } }

  it('have in a line what fits into it, and say the same', () => {
    const text = writeJson(policies)

    expect(text).toContain('\n  "default": {},\n')
    expect(text).toContain('"image/*", "video/*", "application/pdf"')
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(90)
    expect(readJson(text)).toEqual({ json: policies })
  })

  it.each(['', '{', '{"roles": {},}', '[]', 'null', '7'])('that are none (%s) are told so', (text) => {
    expect(readJson(text)).toHaveProperty('problem')
  })

  it('are shown where a problem is, as far as it can be told', () => {
    const text = writeJson(policies)

    expect(text.slice(placeOf(text, 'roles.member.maxSize: expected a size')).startsWith('"maxSize"')).toBe(true)
    expect(text.slice(placeOf(text, 'roles.member.nonsense: there is no such field')).startsWith('"member"')).toBe(true)
    expect(placeOf(text, 'nowhere: at all')).toBe(-1)
  })
})

describe('what people type and clients say', () => {
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

  it('the metadata of tus is told in clear, and any other as it is', () => {
    const name = Buffer.from('Übersicht.pdf').toString('base64')

    expect(readMetadata(`filename ${name},is_final`)).toBe('filename Übersicht.pdf, is_final')
    expect(readMetadata('filename ???')).toBe('filename ???')
  })
})
