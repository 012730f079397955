/*
 * Measures the structure and the language of this checkout, or of the one at the path given: retired names and words, sentences that hide
 * the actor, imports of core that run up, circles, interfaces of options in core.
 *
 *   npm run structure -- [path] [--list]
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { arrowsUp, circles } from './layers.ts'
import { findingsInPage, impersonalSentencesIn, retiredNamesIn, retiredProseIn } from './vocabulary.ts'

const root = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? '.'
const isList = process.argv.includes('--list')
const read = (pattern: string) =>
  new Map(globSync(pattern, { cwd: root }).map((file) => [file, readFileSync(join(root, file), 'utf8')]))
const code = read('{src,test,tools}/**/*.{ts,tsx}')
const source = new Map([...code].filter(([file]) => file.startsWith('src/')))
const pages = read('{*.md,docs/**/*.md}')

const report: [string, string[]][] = [
  ['retired names', each(code, retiredNamesIn)],
  ['retired words in comments and names of tests', each(code, retiredProseIn)],
  ['sentences that hide the actor', each(code, impersonalSentencesIn)],
  ['both in the documentation', each(pages, findingsInPage)],
  ['imports of core that run up', arrowsUp(source)],
  ['circles of imports', circles(source).map((files) => files.join(', '))],
  ['interfaces of options in core', each(source, optionsIn)],
]
for (const [what, found] of report) {
  console.log(`${String(found.length).padStart(6)}  ${what}`)
  if (isList) for (const line of found) console.log(`        ${line}`)
}

function each(
  files: Map<string, string>,
  look: (code: string, file: string) => { line: number; word: string; text: string }[],
): string[] {
  return [...files].flatMap(([file, text]) =>
    look(text, file).map(({ line, word, text: where }) => `${file}:${line} ${word}: ${where}`),
  )
}

function optionsIn(text: string, file: string) {
  if (!file.startsWith('src/core/')) return []
  return [...text.matchAll(/\binterface (\w*(?:Options|Details|Config|Params))\b/g)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    word: match[1] ?? '',
    text: 'interface',
  }))
}
