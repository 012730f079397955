import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../src/cli/program.ts'
import { renderEnvExample } from '../src/config.ts'

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

describe('the documents', () => {
  const documents = [...globSync('*.md'), ...globSync('{docs,docker}/**/*.{md,yaml,yml,conf}')]
  const text = documents.map((file) => readFileSync(file, 'utf8')).join('\n')

  it('name only commands that exist', () => {
    const known = createProgram().commands.flatMap((command) => [
      command.name(),
      ...command.commands.map((sub) => `${command.name()} ${sub.name()}`),
    ])
    const groups = new Set(known.filter((name) => name.includes(' ')).map((name) => name.split(' ')[0]!))

    // In code only: `landfall x`, or a line of a block.
    const named = [...text.matchAll(/(?:`|npx |\(|^)landfall ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?/gm)].map(
      ([, first = '', second]) => (groups.has(first) && second ? `${first} ${second}` : first),
    )

    expect(named.length).toBeGreaterThan(20)
    expect([...new Set(named)].filter((name) => !known.includes(name))).toEqual([])
  })

  it('name only settings that exist', () => {
    const known = new Set(
      renderEnvExample()
        .match(/^# [A-Z][A-Z0-9_]+(?==)/gm)
        ?.map((line) => line.slice(2)),
    )

    const named = [...text.matchAll(/`(?:[^`]*[\s(])?([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)=/g)].map(([, name]) => name!)

    expect(named.length).toBeGreaterThan(5)
    expect([...new Set(named)].filter((name) => !known.has(name) && !/^(TEST|EVERYTHING)_/.test(name))).toEqual([])
  })

  it('link only to files that are there', () => {
    const broken = documents.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => normalize(join(dirname(file), target!)))
        .filter((target) => !existsSync(target))
        .map((target) => `${file}: ${target}`),
    )

    expect(broken).toEqual([])
  })

  it('handle errors in every sample that uploads, and say in which kind of file it stands', () => {
    const samples = documents
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) => blocksOf(file, 'js(?: browser)?').map((sample) => ({ file, sample })))
      .filter(({ sample }) => /new (Upload|Uppy)\(/.test(sample))

    expect(samples.length).toBeGreaterThan(3)
    expect(
      samples.filter(({ sample }) => !/onError|upload-error|'error'/.test(sample)).map(({ file }) => file),
    ).toEqual([])
    expect(samples.filter(({ sample }) => !/^\/\/ [\w-]+\.mjs\b/.test(sample)).map(({ file }) => file)).toEqual([])
  })
})
