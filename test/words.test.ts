import { globSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type Finding,
  findingsInPage,
  impersonalSentencesIn,
  longTestNamesIn,
  retiredNamesIn,
  retiredProseIn,
} from '../tools/structure/vocabulary.ts'

const code = globSync('{src,test,tools}/**/*.{ts,tsx}')
const pages = globSync('{*.md,docs/**/*.md}')

describe('the sources, tests and tools', () => {
  it('have no retired names', () => {
    expect(code.length).toBeGreaterThan(500)
    expect(findingsOf(code, retiredNamesIn)).toEqual([])
  })

  it('have no retired words in comments and names of tests', () => {
    expect(findingsOf(code, retiredProseIn)).toEqual([])
  })

  it('name the actor of every sentence in comments and names of tests', () => {
    expect(findingsOf(code, impersonalSentencesIn)).toEqual([])
  })

  it('have names of tests with at most 80 characters', () => {
    expect(findingsOf(code, longTestNamesIn)).toEqual([])
  })
})

it('the documentation has no retired words and names the actor of every sentence', () => {
  expect(pages.length).toBeGreaterThan(10)
  expect(findingsOf(pages, findingsInPage)).toEqual([])
})

describe('a retired name', () => {
  it.each([
    ['const wish = 1', 'wish'],
    ['function readWish() {}', 'Wish'],
    ['const HELD_LITTER = 1', 'LITTER'],
    ['upload.isDirty = true', 'Dirty'],
    ['const { luxuries } = budget', 'luxuries'],
    ['interface Refusal {}', 'Refusal'],
    ['const door = <SignIn door={true} />', 'door'],
    ['const page = <Shelf />', 'Shelf'],
  ])('is found in %s', (sample, word) => {
    expect(retiredNamesIn(sample, 'src/http/sample.tsx').map((finding) => finding.word)).toContain(word)
  })

  it('is part of a name and not of a word in it', () => {
    expect(retiredNamesIn('const wishbone = doorway + peekaboo', 'src/http/sample.ts')).toEqual([])
  })

  it('is `session` where uploads are meant', () => {
    const sample = 'const session = sessions.find(id)'

    expect(retiredNamesIn(sample, 'src/core/sample.ts')).toHaveLength(2)
    expect(retiredNamesIn(sample, 'src/features/sessions/sample.ts')).toEqual([])
  })

  it('may stand in a string', () => {
    expect(retiredNamesIn("const text = 'a wish behind the door'", 'src/http/sample.ts')).toEqual([])
  })
})

describe('a retired word', () => {
  it.each([
    ['a comment', '// Removes the litter of the upload.\nconst a = 1', 'src/http/sample.ts', 1],
    ['a docstring', '/**\n * Ends the upload.\n * Called by the chores.\n */\nexport const a = 1', 'src/a.ts', 3],
    ['a comment in JSX', 'const page = <p>{/* Steering */}</p>', 'src/web/sample.tsx', 1],
    ['the name of a test', "\nit('fulfils the wish', () => {})", 'test/sample.test.ts', 2],
    ['the name of a group', "describe.skipIf(true)('steering', () => {})", 'test/sample.test.ts', 1],
    ['the name below a table', "it.each([\n  ['a'],\n  ['b'],\n])('gathering %s', () => {})", 'test/sample.test.ts', 4],
    ['a name in backticks', 'it(`leaves litter`, () => {})', 'test/sample.test.ts', 1],
  ])('is found in %s', (_where, sample, path, line) => {
    expect(retiredProseIn(sample, path)).toMatchObject([{ line }])
  })

  it.each([
    ['a string', "const text = 'the litter of a wish'", 'src/http/sample.ts'],
    ['backticks in a comment', '// Postgres calls the column `litter`.', 'src/http/sample.ts'],
    ['a file that is no test', "it('fulfils the wish', () => {})", 'src/http/sample.ts'],
  ])('is not looked for in %s', (_where, sample, path) => {
    expect(retiredProseIn(sample, path)).toEqual([])
  })
})

describe('a sentence that hides its actor', () => {
  it.each([
    ['// Nobody holds the lease.', 'src/http/sample.ts'],
    ['/** Given to whoever asks. */', 'src/http/sample.ts'],
    ["it('is not told to anybody', () => {})", 'test/sample.test.ts'],
    ["it('is taken by somebody else', () => {})", 'test/sample.test.tsx'],
  ])('is found in %s', (sample, path) => {
    expect(impersonalSentencesIn(sample, path)).toHaveLength(1)
  })

  it('is reported with its line and alone', () => {
    const sample = 'const a = 1\n/**\n * The store answers. Nobody\n * waits for it. The lease ends.\n */'

    expect(impersonalSentencesIn(sample, 'src/http/sample.ts')).toEqual([
      { line: 3, word: 'Nobody', text: 'Nobody waits for it.' },
    ])
  })
})

describe('a page', () => {
  it('is searched for both', () => {
    expect(findingsInPage('# Uploads\n\nThe chores run.\n\nNobody waits.')).toMatchObject([
      { line: 5, word: 'Nobody' },
      { line: 3, word: 'chores' },
    ])
  })

  it('is not searched in backticks', () => {
    expect(findingsInPage('Run as `nobody`.\n\n```sh\nsu nobody # `chores`\n```\n')).toEqual([])
  })
})

it('a name of a test is too long from 81 characters', () => {
  const sample = (length: number) => `it.each([\n  1,\n])('${'x'.repeat(length)}', () => {})`

  expect(longTestNamesIn(sample(80), 'test/sample.test.ts')).toEqual([])
  expect(longTestNamesIn(sample(81), 'test/sample.test.ts')).toMatchObject([{ line: 3 }])
})

/** The findings of `look` in these files, one line each. */
function findingsOf(paths: string[], look: (text: string, path: string) => Finding[]): string[] {
  return paths.flatMap((path) =>
    look(readFileSync(path, 'utf8'), path).map(({ line, word, text }) => `${path}:${line} ${word}: ${text}`),
  )
}
