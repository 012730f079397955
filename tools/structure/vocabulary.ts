import { parseSync } from 'vite'

/** A retired word in a name or a sentence. */
export interface Finding {
  line: number
  word: string
  /** The sentence or name it is in. */
  text: string
}

/** Private names that were replaced by standard terms: see the glossary in ARCHITECTURE.md. Matched against each part of a name. */
const retiredInNames =
  /^(wish|wishes|litter|scattered|gathering|refusal|refusals|steer|steering|chore|chores|peek|luxuries|needy|ranks|neighbourhood|strangers|weather|unheard|dirty|surroundings|shelf|shelves|door|faultof)$/i

/** The same in prose: comments, documentation, names of tests and messages. */
const retiredInProse =
  /\b(litter|steer|steers|steered|steering|wish|wishes|chores?|luxur(?:y|ies)|close ranks|neighbourhood|the house|rooms of|scattered|gathering)\b/gi

/** Subjects that hide the actor: the client, the lock holder, the sweeper, the store. */
const impersonal = /\b(nobody|somebody|whoever|anybody)\b/gi

/** Where *session* must not mean an upload. Elsewhere it is a login, or a connection of Postgres. */
const uploadCode = /^(src|test)\/(core|locks|jobs)\//

/** Retired names of identifiers in `code`, which is the file `path` of the repository. */
export function retiredNamesIn(code: string, path: string): Finding[] {
  const found = new Map<number, Finding>()
  visit(parseSync(path, code).program)
  return [...found.values()]

  function visit(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) visit(item)
    if (typeof value !== 'object' || value === null) return
    const { type, name, start = 0 } = value as { type?: string; name?: unknown; start?: number }
    if ((type === 'Identifier' || type === 'JSXIdentifier') && typeof name === 'string' && !found.has(start)) {
      const word = partsOf(name).find(
        (part) =>
          (retiredInNames.test(part) && !isSignalMethod(part, path)) ||
          (uploadCode.test(path) && /^sessions?$/i.test(part)),
      )
      if (word) found.set(start, { line: lineAt(code, start), word, text: name })
    }
    for (const child of Object.values(value)) visit(child)
  }
}

/** `peek` is a method of Preact signals. */
function isSignalMethod(word: string, path: string): boolean {
  return word === 'peek' && path.startsWith('src/web/')
}

/** Retired words in the comments and, where `path` is a test, in the names of tests of `code`. */
export function retiredProseIn(code: string, path: string): Finding[] {
  return proseOf(code, path).flatMap(({ text, start }) => [
    ...matches(text, retiredInProse, code, start),
    ...(uploadCode.test(path) ? matches(text, /\bsessions?\b/gi, code, start) : []),
  ])
}

/** Sentences with a subject that hides the actor, in the comments and names of tests of `code`. */
export function impersonalSentencesIn(code: string, path: string): Finding[] {
  return proseOf(code, path).flatMap(({ text, start }) => matches(text, impersonal, code, start))
}

/** Retired words and hidden actors in a page of documentation. Text in backticks is code. */
export function findingsInPage(markdown: string): Finding[] {
  const text = markdown.replace(/`[^`]*`/g, (code) => ' '.repeat(code.length))
  return [...matches(text, impersonal, text, 0), ...matches(text, retiredInProse, text, 0)]
}

interface Prose {
  text: string
  start: number
}

/** Comments, and the names of tests. */
function proseOf(code: string, path: string): Prose[] {
  const { comments } = parseSync(path, code)
  const prose: Prose[] = comments.map(({ value, start }) => ({ text: value, start: start + 2 }))
  if (!/\.test\.tsx?$/.test(path)) return prose
  for (const match of code.matchAll(/\b(?:it|test|describe)(?:\.\w+(?:\([^\n]*\))?)*\(\s*(['"`])((?:(?!\1).)+)\1/g))
    prose.push({ text: match[2] ?? '', start: match.index + match[0].length - (match[2] ?? '').length - 1 })
  return prose
}

function matches(text: string, words: RegExp, code: string, start: number): Finding[] {
  return [...text.matchAll(words)].map((match) => ({
    line: lineAt(code, start + match.index),
    word: match[0],
    text: sentenceAt(text, match.index),
  }))
}

function sentenceAt(text: string, at: number): string {
  const from = Math.max(text.lastIndexOf('. ', at) + 2, text.lastIndexOf('\n\n', at) + 2, 0)
  const to = text.indexOf('. ', at)
  return text
    .slice(from === 1 ? 0 : from, to === -1 ? undefined : to + 1)
    .replace(/\s*\n\s*\*?\s*/g, ' ')
    .trim()
}

/** `isHeldBack` and `HELD_BACK` are `is`, `Held`, `Back`. */
function partsOf(name: string): string[] {
  return name.split(/(?<=[a-z0-9])(?=[A-Z])|_/)
}

function lineAt(code: string, at: number): number {
  return code.slice(0, at).split('\n').length
}
