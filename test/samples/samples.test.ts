import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { documents } from './documents.ts'

const here = new URL('.', import.meta.url)
const samples = readdirSync(here).filter((name) => !/\.(ts|sh|md)$|^\./.test(name))

// name → what the file begins with, in hex, after `skip` bytes
const beginnings: [name: string, hex: string, skip?: number][] = [
  ['picture.png', '89504e470d0a1a0a'],
  ['picture.jpg', 'ffd8ff'],
  ['picture.gif', '474946383961'],
  ['picture.webp', '57454250', 8],
  ['video.mp4', '66747970', 4],
  ['video.mov', '6674797071742020', 4],
  ['video.webm', '1a45dfa3'],
  ['tone.wav', '57415645', 8],
  ['tone.ogg', '4f676753'],
  ['tone.flac', '664c6143'],
]

describe('the samples', () => {
  it.each(Object.entries(documents()))('hold %s as its source makes it', (name, bytes) => {
    expect(readFileSync(new URL(name, here)).equals(bytes)).toBe(true)
  })

  it.each(beginnings)('hold a %s that is one', (name, hex, skip = 0) => {
    const begin = readFileSync(new URL(name, here)).subarray(skip, skip + hex.length / 2)

    expect(begin.toString('hex')).toBe(hex)
  })

  it.each(samples)('keep %s below 100 kB, and its origin in the README', (name) => {
    expect(readFileSync(new URL(name, here)).length).toBeLessThan(100_000)
    expect(readFileSync(new URL('README.md', here), 'utf8')).toContain(`\`${name}\``)
  })
})
