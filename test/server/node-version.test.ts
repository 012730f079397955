import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { unsupportedNode } from '../../src/server/node-version.ts'

it.each(['22.19.0', '22.23.1', '24.0.0', '24.21.0', '26.0.0', '27.1.0'])('Node %s is supported', (version) => {
  expect(unsupportedNode(version)).toBeNull()
})

it.each(['18.20.0', '20.20.2', '22.18.0', '23.9.0', '25.1.0'])(
  'Node %s is not supported, and the message says which versions are',
  (version) => {
    expect(unsupportedNode(version)).toBe(`landfall needs Node 22.19 or later, 24, or 26 and later; this is ${version}`)
  },
)

it('package.json requires the same versions', () => {
  expect(JSON.parse(readFileSync('package.json', 'utf8')).engines.node).toBe('^22.19 || ^24 || >=26')
})
