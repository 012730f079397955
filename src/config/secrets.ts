import { z } from 'zod'
import { splitList } from './values.ts'

/*
 * Secrets that tokens are signed with. An attacker who guesses one is every user and every admin, and can guess without asking the
 * server: so a secret that is published, or made of a pattern or of the usual words, is no secret.
 */

const leastBytes = 32

/** One secret, or several with commas between them: the first signs, all verify. Stays text; `secretsIn` takes it apart. */
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

/** Why `secret` can be guessed, for its operator; `null` when nothing speaks against it. It says nothing of the secret itself. */
export function weaknessOf(secret: string): string | null {
  const text = secret.trim().toLowerCase()
  if (published.has(text)) return 'is published in documentation or examples'
  if (isPeriodic(text)) return 'repeats itself'
  if (stepShare(text) > 0.5) return 'is a sequence of neighbouring characters'
  if (bitsOf(secret) < leastBits || bitsOf(withoutUsualWords(text)) < leastBitsBesideWords)
    return 'is made of few characters or of usual words'
  return null
}

// By frequency of characters; 32 random digits have about 100, 32 random hexadecimal ones about 115.
const leastBits = 80
// A word that is not a usual one, at least.
const leastBitsBesideWords = 15

/** Of this server's own examples, and the defaults of products whose settings are often copied. */
const published = new Set([
  'only-for-trying-out-0123456789abcdef',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'a-string-secret-at-least-256-bits-long',
  'your-256-bit-secret-your-256-bit-secret',
  'this-is-a-very-long-secret-key-for-jwt-token-signing',
  '404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970',
  'dsvm4tvh9u3g6kdj7k4nqj5bbj0p3v9z',
])

/** Whether it is a shorter text again and again, the last time perhaps cut off. */
function isPeriodic(text: string): boolean {
  for (let period = 1; period <= text.length / 2; period += 1)
    if (text.slice(period) === text.slice(0, text.length - period)) return true
  return false
}

const keyRows = ['qwertyuiop', 'qwertzuiop', 'asdfghjkl', 'zxcvbnm', 'yxcvbnm', '1234567890', 'azertyuiop']

/** How many of its characters follow the one before in the alphabet, on a keyboard, or are the same again. */
function stepShare(text: string): number {
  const letters = [...text]
  const steps = letters.slice(1).filter((letter, at) => isStep(letters[at]!, letter))
  return steps.length / Math.max(1, letters.length - 1)
}

function isStep(before: string, after: string): boolean {
  if (Math.abs(before.codePointAt(0)! - after.codePointAt(0)!) <= 1) return true
  return keyRows.some((row) => row.includes(before + after) || row.includes(after + before))
}

/** Bits of information, if each character were drawn by how often it is there. */
function bitsOf(text: string): number {
  const letters = [...text]
  const counts = new Map<string, number>()
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count * Math.log2(count / letters.length)
  return bits
}

const usualWords =
  /change|replace|please|insert|enter|secret|password|passwort|passw|pass|token|example|sample|default|development|dev|production|prod|testing|test|demo|trial|trying|insecure|unsafe|private|public|admin|root|user|server|upload|landfall|docker|compose|kubernetes|github|signing|signature|hmac|sha256|hs256|jwt|json|web|auth|your|mine|this|that|with|minimum|least|more|than|long|very|super|should|must|never|always|only|safe|secure|strong|random|string|value|characters|character|chars|bytes|bits|byte|bit|key|here|some|foobar|foo|bar|baz|hello|world|letmein|welcome|real|super|cool|nice|great|signed|needs|need|set|put|own|new|old|temp|temporary|local|localhost|company|app|application|service|backend|frontend|api|access|refresh|session|cookie|crypt|encrypt|encryption|hash|salt|of|by|from|until|before|after|deploy|deployment|master|guest|sesame|open|monkey|dragon|iloveyou|qwerty|asdf|zxcv|abc123|abcdef|abcd|todo|fixme|xxx+|12345\d*|0123\d*|256|512|128|64|32|please|for|not|use|the|and|me|my|in|it|is|at|of|to|do|an|a/g

function withoutUsualWords(text: string): string {
  const plain = text.replace(/[013457@$]/g, (sign) => leet[sign]!)
  // Whichever of the two readings has less left: digits may be digits, or stand for letters.
  const [read, spelt] = [text, plain].map((reading) => reading.replace(usualWords, '').replace(/[\W_]+/g, ''))
  return read!.length < spelt!.length ? read! : spelt!
}

const leet: Record<string, string> = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', '@': 'a', $: 's' }
