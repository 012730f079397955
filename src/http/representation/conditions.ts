/* Conditional requests: RFC 9110, section 13. The representations of this server have strong entity tags. */
import type { IncomingHttpHeaders } from 'node:http'

/** By what a client recognizes a representation. */
export interface Validators {
  /** With its quotes; strong. */
  etag: string
  /** Clients see whole seconds of it. */
  modifiedAt: Date
}

/**
 * What the preconditions of a GET or HEAD request say, in the order of RFC 9110, 13.2.2: `failed` is 412, `not-modified` 304. A date that
 * is not one is ignored.
 */
export function evaluatePreconditions(
  headers: IncomingHttpHeaders,
  { etag, modifiedAt }: Validators,
): 'passed' | 'failed' | 'not-modified' {
  const modified = inSeconds(modifiedAt)
  const ifMatch = headers['if-match']
  const unmodifiedSince = parseDate(headers['if-unmodified-since'])
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, etag, 'strong')) return 'failed'
  } else if (unmodifiedSince !== null && modified > unmodifiedSince) return 'failed'
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag, 'weak') ? 'not-modified' : 'passed'
  const modifiedSince = parseDate(headers['if-modified-since'])
  return modifiedSince !== null && modified <= modifiedSince ? 'not-modified' : 'passed'
}

/** Whether the Range of a request applies: its If-Range names this representation, or it has none (RFC 9110, 13.1.5). */
export function isRangeOfThis({ 'if-range': condition }: IncomingHttpHeaders, validators: Validators): boolean {
  if (typeof condition !== 'string') return true
  if (condition.startsWith('"')) return condition === validators.etag
  return parseDate(condition) === inSeconds(validators.modifiedAt)
}

// A tag of a list (RFC 9110, 8.8.3).
const entityTag = /(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g

function matches(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true
  return [...list.matchAll(entityTag)].some(
    ([, weak, tag]) => tag === etag && (comparison === 'weak' || weak === undefined),
  )
}

// The three forms of a date that a recipient must accept (RFC 9110, 5.6.7); the last one names no time zone and means GMT.
const datesWithZone = /^(\w{3}, \d{2} \w{3} \d{4}|\w{6,9}, \d{2}-\w{3}-\d{2}) \d{2}:\d{2}:\d{2} GMT$/
const dateWithoutZone = /^\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

/** Seconds since 1970; `null`: not a date. */
function parseDate(text: string | undefined): number | null {
  if (text === undefined) return null
  const zoned = datesWithZone.test(text) ? text : dateWithoutZone.test(text) ? `${text} GMT` : ''
  const time = Date.parse(zoned)
  return Number.isNaN(time) ? null : time / 1000
}

function inSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}
