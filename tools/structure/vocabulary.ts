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
  /\b(litter|steer|steers|steered|steering|wish|wishes|chores?|luxur(?:y|ies)|close ranks|neighbourhood|the house|rooms of|scattered|gathering|weather|unheard(?!-of)|gives? way|gave way)\b/gi

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
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
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
  const text = withoutCode(markdown)
  return [...matches(text, impersonal, text, 0), ...matches(text, retiredInProse, text, 0)]
}

/** Names of tests and of their groups in `code` that are longer than 80 characters, without the values in them. */
export function longTestNamesIn(code: string, path: string): Finding[] {
  return testNamesOf(code, path)
    .map(({ text, start }) => ({ text: text.replace(/\$\{[^}]*\}/g, '…'), start }))
    .filter(({ text }) => text.length > 80)
    .map(({ text, start }) => ({ line: lineAt(code, start), word: `${text.length} characters`, text }))
}

interface Prose {
  text: string
  start: number
}

/** Comments and the names of tests, with blanks in place of what is in backticks. */
function proseOf(code: string, path: string): Prose[] {
  const comments = parseSync(path, code).comments.map(({ value, start }) => ({ text: value, start: start + 2 }))
  return [...comments, ...testNamesOf(code, path)].map(({ text, start }) => ({ text: withoutCode(text), start }))
}

/** The first argument of `it`, `test` and `describe`, and of the functions that `it.each` and the like return. */
function testNamesOf(code: string, path: string): Prose[] {
  const names: Prose[] = []
  if (/\.test\.tsx?$/.test(path)) visit(parseSync(path, code).program)
  return names

  function visit(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) visit(item)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    const { type, callee, arguments: given } = value as { type?: string; callee?: unknown; arguments?: unknown[] }
    const name = given?.[0] as { type: string; value?: unknown; start: number; end: number } | undefined
    if (type === 'CallExpression' && isTestFunction(callee) && name) {
      const isName = name.type === 'TemplateLiteral' || typeof name.value === 'string'
      if (isName) names.push({ text: code.slice(name.start + 1, name.end - 1), start: name.start + 1 })
    }
    for (const child of Object.values(value)) visit(child)
  }
}

/** Whether `node` is `it`, `test` or `describe`, a member of it such as `it.only`, or what one of its members returned. */
function isTestFunction(node: unknown): boolean {
  const { type, name, object, callee } = node as { type: string; name?: string; object?: unknown; callee?: unknown }
  if (type === 'Identifier') return name === 'it' || name === 'test' || name === 'describe'
  if (type === 'MemberExpression') return isTestFunction(object)
  return type === 'CallExpression' && isTestFunction(callee)
}

/** `text` of the same length, with blanks in place of what is in backticks. */
function withoutCode(text: string): string {
  return text.replace(/```[\s\S]*?```|`[^`]*`/g, (code) => code.replace(/[^\n]/g, ' '))
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
