import { z } from 'zod'
import { splitList } from './values.ts'

/*
 * Secrets that sign tokens. An attacker who guesses one can act as every user and admin, and can test guesses offline against any token:
 * a secret that is published, or consists of a pattern or of common words, is refused.
 */

const leastBytes = 32

/** One secret, or several separated by commas: the first signs, all verify. Stays a text; `secretsIn` splits it. */
export const tokenSecrets = z.string().superRefine((text, context) => {
  const secrets = secretsIn(text)
  if (secrets.length === 0 || secrets.some((secret) => Buffer.byteLength(secret) < leastBytes))
    context.addIssue({
      code: 'custom',
      message: `expected at least ${leastBytes} bytes${secrets.length > 1 ? ' for each of the secrets between commas' : ''}`,
    })
})

/** The secrets of a list, in its order. */
export function secretsIn(text: string): string[] {
  return splitList(text)
}

/** Why `secret` can be guessed, for the operator; `null` when it looks random. Quotes nothing of the secret. */
export function weaknessOf(secret: string): string | null {
  const text = secret.trim().toLowerCase()
  if (published.has(text)) return 'is published in documentation or examples'
  if (isPeriodic(text)) return 'repeats itself'
  if (stepShare(text) > leastStepShare) return 'is a sequence of adjacent characters'
  if (bitsOf(secret) < leastBits || bitsOf(withoutCommonWords(text)) < leastBitsBesideWords)
    return 'consists of few different characters or of common words'
  return null
}

// Entropy by frequency of characters; 32 random digits have about 100 bits, 32 random hexadecimal digits about 115.
const leastBits = 80
// Of the 31 pairs in 32 random hexadecimal digits 6 are adjacent, and more than 20 in fewer than one of a hundred million secrets.
const leastStepShare = 0.65
// At least one word that is not common.
const leastBitsBesideWords = 15

/** Secrets of the examples of this server, and defaults of products whose settings are often copied. */
const published = new Set([
  'only-for-trying-out-0123456789abcdef',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'a-string-secret-at-least-256-bits-long',
  'your-256-bit-secret-your-256-bit-secret',
  'this-is-a-very-long-secret-key-for-jwt-token-signing',
  '404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970',
  'dsvm4tvh9u3g6kdj7k4nqj5bbj0p3v9z',
])

/** Whether `text` repeats a shorter text; the last repetition may be cut off. */
function isPeriodic(text: string): boolean {
  for (let period = 1; period <= text.length / 2; period += 1)
    if (text.slice(period) === text.slice(0, text.length - period)) return true
  return false
}

const keyRows = ['qwertyuiop', 'qwertzuiop', 'asdfghjkl', 'zxcvbnm', 'yxcvbnm', '1234567890', 'azertyuiop']

/** The share of characters that are equal to the one before, or adjacent to it in the alphabet or on a keyboard. */
function stepShare(text: string): number {
  const letters = [...text]
  const steps = letters.slice(1).filter((letter, at) => isStep(letters[at]!, letter))
  return steps.length / Math.max(1, letters.length - 1)
}

function isStep(before: string, after: string): boolean {
  if (Math.abs(before.codePointAt(0)! - after.codePointAt(0)!) <= 1) return true
  return keyRows.some((row) => row.includes(before + after) || row.includes(after + before))
}

/** Bits of entropy by the frequency of its characters. */
function bitsOf(text: string): number {
  const letters = [...text]
  const counts = new Map<string, number>()
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count * Math.log2(count / letters.length)
  return bits
}

const commonWords =
  /change|replace|please|insert|enter|secret|password|passwort|passw|pass|token|example|sample|default|development|dev|production|prod|testing|test|demo|trial|trying|insecure|unsafe|private|public|admin|root|user|server|upload|landfall|docker|compose|kubernetes|github|signing|signature|hmac|sha256|hs256|jwt|json|web|auth|your|mine|this|that|with|minimum|least|more|than|long|very|super|should|must|never|always|only|safe|secure|strong|random|string|value|characters|character|chars|bytes|bits|byte|bit|key|here|some|foobar|foo|bar|baz|hello|world|letmein|welcome|real|super|cool|nice|great|signed|needs|need|set|put|own|new|old|temp|temporary|local|localhost|company|app|application|service|backend|frontend|api|access|refresh|session|cookie|crypt|encrypt|encryption|hash|salt|of|by|from|until|before|after|deploy|deployment|master|guest|sesame|open|monkey|dragon|iloveyou|qwerty|asdf|zxcv|abc123|abcdef|abcd|todo|fixme|xxx+|12345\d*|0123\d*|256|512|128|64|32|please|for|not|use|the|and|me|my|in|it|is|at|of|to|do|an|a/g

function withoutCommonWords(text: string): string {
  const plain = text.replace(/[013457@$]/g, (sign) => leet[sign]!)
  // Digits may be digits or stand for letters: the reading that leaves less counts.
  const [read, spelt] = [text, plain].map((reading) => reading.replace(commonWords, '').replace(/[\W_]+/g, ''))
  return read!.length < spelt!.length ? read! : spelt!
}

const leet: Record<string, string> = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', '@': 'a', $: 's' }
