import { isIP } from 'node:net'
import { z } from 'zod'
import { parseDuration, parseSize, writeDuration } from '../core/units.ts'

/** `trustProxy` of Fastify: all, none, or these addresses. A number of hops is not allowed: it proves nothing about the sender. */
export type Trust = boolean | string[]

/**
 * A setting that `parse` reads from text; `null` is a problem that says what was `expected`. A default is a text too, given with
 * `.prefault`, so that it looks as an operator would write it.
 */
export function parsed<T>(parse: (text: string) => T | null, expected: string) {
  return z.string().transform((text, context) => {
    const value = parse(text.trim())
    if (value !== null) return value
    context.issues.push({ code: 'custom', input: text, message: `expected ${expected}` })
    return z.NEVER
  })
}

/** The mode of the server. Other words are refused: a misspelt `production` must not become development. */
export const mode = parsed((text) => {
  const found = (['production', 'development', 'test'] as const).find((name) => name === text)
  return found ?? null
}, 'production, development or test')

/** Bytes, such as `8MiB`. */
export const size = parsed(parseSize, 'a size such as 8MiB')

/** Milliseconds, such as `30s`. */
export const duration = parsed(parseDuration, 'a duration such as 30s or 24h')

const maxWait = 10 * 24 * 60 * 60 * 1000

/** The milliseconds of a wait, `least` or more. Timers of Node are limited to 24.8 days, and some waits take twice the setting. */
export function wait(least = 0) {
  const expected = `a duration such as 30s, at least ${writeDuration(least)} and at most 10d`
  return parsed((text) => {
    const ms = parseDuration(text)
    return ms === null || ms < least || ms > maxWait ? null : ms
  }, expected)
}

/** A whole number from `least` to `most`. */
export function count(least: number, most: number) {
  const error = `expected a whole number from ${least} to ${most}`
  return z.coerce.number({ error }).int({ error }).min(least, { error }).max(most, { error })
}

const maxWorkers = 256

/** A number of processes, or `auto`. */
export const workers = parsed((text): number | 'auto' | null => {
  if (text === 'auto') return text
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0
  return number >= 1 && number <= maxWorkers ? number : null
}, `auto, or a whole number from 1 to ${maxWorkers}`)

/** One of `words`. */
export function choice<const Words extends readonly [string, ...string[]]>(...words: Words) {
  return z.enum(words, { error: `expected ${words.join(', ')}` })
}

/** An http or https URL without query; trailing slashes are removed. */
export const webUrl = parsed((text) => {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username) return null
  return url.href.replace(/\/+$/, '')
}, 'an http or https URL without query')

/** `*`, or origins separated by commas, with wildcards for subdomains or ports. */
export const origins = parsed((text): '*' | string[] | null => {
  if (text === '*') return '*'
  const list = splitList(text)
  return list.length > 0 && list.every(isOriginPattern) ? list : null
}, '* or origins such as https://app.example, https://*.example.org or http://localhost:*, separated by commas')

/** A scheme, a host with an optional wildcard before at least two labels, and an optional port or `*`. */
function isOriginPattern(text: string): boolean {
  const [, scheme, wildcard, host = ''] =
    /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?([^/*:]+)(?::(?:\d{1,5}|\*))?$/i.exec(text) ?? []
  if (scheme === undefined || !/^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(host)) return false
  if (wildcard !== undefined) return /^https?$/i.test(scheme) && (host.includes('.') || host === 'localhost')
  const plain = text.replace(/:\*$/, '')
  return !/^https?$/i.test(scheme) || URL.parse(plain)?.origin === plain.toLowerCase()
}

/** Names of HTTP headers separated by commas; may be empty. */
export const headerNames = parsed((text): string[] | null => {
  const list = splitList(text)
  return list.every((name) => name !== '*' && /^[!#$%&'*+.^_`|~\w-]+$/.test(name)) ? list : null
}, 'names of headers separated by commas')

/** `name=value` separated by commas; values may be percent-encoded, as OpenTelemetry specifies. */
export const pairs = parsed((text): Record<string, string> | null => {
  const found = splitList(text).map((pair) => /^([\w-]+)=(.*)$/.exec(pair))
  if (!found.every((pair) => pair !== null)) return null
  try {
    return Object.fromEntries(found.map(([, name, value]) => [name!.toLowerCase(), decodeURIComponent(value!)]))
  } catch {
    return null
  }
}, 'name=value, separated by commas')

/** Names separated by commas; `null`: none. */
export const names = z.string().transform((text) => {
  const list = splitList(text)
  return list.length === 0 ? null : list
})

/** Addresses and networks separated by commas; may be empty. */
export const networks = parsed((text): string[] | null => {
  const list = splitList(text)
  return list.every((item) => isIP(item.split('/')[0]!) !== 0 && isNetwork(item)) ? list : null
}, 'addresses and networks separated by commas')

/** The value of TRUST_PROXY. */
export const trust = parsed((text): Trust | null => {
  if (text === 'true' || text === 'false') return text === 'true'
  const list = splitList(text)
  return list.length > 0 && list.every(isNetwork) ? list : null
}, 'true, false, or addresses and networks separated by commas')

/** The items between the commas of `text`, without empty ones. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
