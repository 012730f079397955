import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../src/cli/program.ts'
import { settingNames } from '../src/config/env-example.ts'
import { errorCodes } from '../src/core/errors/error.ts'
import { coreFloors } from '../tools/structure/layers.ts'

const codeBlocks = (file: string, language: string) =>
  [...readFileSync(file, 'utf8').matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, text]) => text!,
  )

describe('docs/buckets.md', () => {
  it('has a policy, lifecycle rules and CORS rules as valid JSON', () => {
    const documents = codeBlocks('docs/buckets.md', 'json').map((text) => JSON.parse(text) as Record<string, unknown>)

    expect(documents.map((document) => Object.keys(document).at(-1))).toEqual(['Statement', 'Rules', 'CORSRules'])
  })

  it('has every right in its policy that the doctor tests', () => {
    const [policy = ''] = codeBlocks('docs/buckets.md', 'json')
    const tested = globSync('src/stores/s3/doctor*.ts').flatMap(
      (file) => readFileSync(file, 'utf8').match(/s3:[A-Z]\w+/g) ?? [],
    )

    expect(tested.length).toBeGreaterThan(5)
    expect([...new Set(tested)].filter((permission) => !policy.includes(`"${permission}"`))).toEqual([])
  })
})

describe('the documentation', () => {
  const documents = [...globSync('*.md'), ...globSync('{docs,docker}/**/*.{md,yaml,yml,conf}')]
  const text = documents.map((file) => readFileSync(file, 'utf8')).join('\n')

  it('names only commands that exist', () => {
    const known = createProgram().commands.flatMap((command) => [
      command.name(),
      ...command.commands.map((sub) => `${command.name()} ${sub.name()}`),
    ])
    const groups = new Set(known.filter((name) => name.includes(' ')).map((name) => name.split(' ')[0]!))

    // In code only: `landfall x`, or a line of a code block.
    const named = [...text.matchAll(/(?:`|npx |\(|^)landfall ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?/gm)].map(
      ([, first = '', second]) => (groups.has(first) && second ? `${first} ${second}` : first),
    )

    expect(named.length).toBeGreaterThan(20)
    expect([...new Set(named)].filter((name) => !known.includes(name))).toEqual([])
  })

  it('names only settings and error codes that exist', () => {
    const known = new Set([...settingNames().map(({ name }) => name), ...Object.keys(errorCodes)])

    const named = [...text.matchAll(/`(?:[^`]*[\s(])?([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)].map(
      ([, name]) => name!,
    )

    expect(named.length).toBeGreaterThan(50)
    expect([...new Set(named)].filter((name) => !known.has(name) && !/^(TEST|EVERYTHING)_/.test(name))).toEqual([])
  })

  it('names only metrics that exist', () => {
    const exported = globSync(['src/telemetry/*.ts', 'src/features/*/index.ts']).flatMap(
      (file) => readFileSync(file, 'utf8').match(/\blandfall_[a-z0-9_]+/g) ?? [],
    )
    const known = new Set(
      exported.flatMap((name) => [name, ...['bucket', 'count', 'sum'].map((end) => `${name}_${end}`)]),
    )
    const dashboards = readFileSync('docker/grafana/landfall.json', 'utf8')

    const named = `${text}${dashboards}`.match(/(?<!\$)\blandfall_[a-z0-9_]+/g) ?? []

    expect(named.length).toBeGreaterThan(30)
    expect([...new Set(named)].filter((name) => !known.has(name))).toEqual([])
  })

  it('links only to files that exist', () => {
    const broken = documents.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => normalize(join(dirname(file), target!)))
        .filter((target) => !existsSync(target))
        .map((target) => `${file}: ${target}`),
    )

    expect(broken).toEqual([])
  })

  it('handles errors in every sample that uploads, and names its file', () => {
    const samples = documents
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) => codeBlocks(file, 'js(?: browser)?').map((sample) => ({ file, sample })))
      .filter(({ sample }) => /new (Upload|Uppy)\(/.test(sample))

    expect(samples.length).toBeGreaterThan(3)
    expect(
      samples.filter(({ sample }) => !/onError|upload-error|'error'/.test(sample)).map(({ file }) => file),
    ).toEqual([])
    expect(samples.filter(({ sample }) => !/^\/\/ [\w-]+\.mjs\b/.test(sample)).map(({ file }) => file)).toEqual([])
  })
})

describe.each(['ARCHITECTURE.md', 'CONTRIBUTING.md'])('%s', (file) => {
  const entries = globSync('{bin,docker,docs,drizzle,src,test,tools}/**')
  // In "How to add …" x, gcs and redis stand for the file that a contributor writes.
  const isPlaceholder = (path: string) => /(^|\/)(x|gcs|redis)(\.|\/|$)/.test(path)

  it('names only files and folders that exist', () => {
    const named = [...readFileSync(file, 'utf8').matchAll(/`((?:[\w-][\w.-]*\/)*[\w-][\w.-]*(?:\.tsx?|\.md|\/))`/g)]
      .map(([, path]) => path!)
      .filter((path) => !isPlaceholder(path))

    const missing = named.filter((path) => {
      const entry = path.replace(/\/$/, '')
      return !existsSync(entry) && !entries.some((one) => one.endsWith(`/${entry}`))
    })

    expect(named.length).toBeGreaterThan(30)
    expect(missing).toEqual([])
  })
})

describe('the floors of core in ARCHITECTURE.md', () => {
  it('are those that the import test uses', () => {
    const [, section = ''] = readFileSync('ARCHITECTURE.md', 'utf8').split('\n### Floors of core\n')
    const rows = [...section.split('\n## ')[0]!.matchAll(/^\| +\d+ \|([^|]+)\|/gm)]

    const floors = rows.map(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name))

    expect(floors.toReversed()).toEqual(coreFloors)
  })
})

describe('the glossary of ARCHITECTURE.md', () => {
  const [, glossary = ''] = readFileSync('ARCHITECTURE.md', 'utf8').split('\n## Glossary\n')
  const [, , ...terms] = glossary.trim().split('\n')

  it('has at most 40 terms, each with a meaning and a source', () => {
    expect(terms.length).toBeGreaterThan(20)
    expect(terms.length).toBeLessThanOrEqual(40)
    expect(terms.filter((line) => line.split('|').filter((cell) => cell.trim() !== '').length !== 3)).toEqual([])
  })
})
