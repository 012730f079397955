import { globSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const blocksOf = (file: string, language: string) =>
  [...readFileSync(file, 'utf8').matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, text]) => text!,
  )

describe('docs/buckets.md', () => {
  it('has JSON to paste', () => {
    const documents = blocksOf('docs/buckets.md', 'json').map((text) => JSON.parse(text) as Record<string, unknown>)

    expect(documents.map((document) => Object.keys(document).at(-1))).toEqual(['Statement', 'Rules', 'CORSRules'])
  })

  it('lists in its policy every right that the doctor asks for', () => {
    const [policy = ''] = blocksOf('docs/buckets.md', 'json')
    const named = globSync('src/cli/doctor/*.ts').flatMap(
      (file) => readFileSync(file, 'utf8').match(/s3:[A-Z]\w+/g) ?? [],
    )

    expect(named.length).toBeGreaterThan(5)
    expect([...new Set(named)].filter((right) => !policy.includes(`"${right}"`))).toEqual([])
  })
})
