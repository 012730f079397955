import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { expiryOf, type LinkClaims, linkTokens } from '../../../src/features/downloads/links.ts'

const claims: LinkClaims = {
  fileId: randomUUID(),
  linkEpoch: 3,
  expiresAt: Date.UTC(2038, 0, 20) / 1000,
  disposition: 'attachment',
}

describe('the token of a link', () => {
  it('says what was signed', () => {
    const tokens = linkTokens(['one'])

    expect(tokens.verify(tokens.sign(claims))).toEqual(claims)
    expect(tokens.verify(tokens.sign({ ...claims, disposition: 'inline' }))).toMatchObject({ disposition: 'inline' })
  })

  it('is not valid with one bit changed, cut, longer, or spelt otherwise', () => {
    const tokens = linkTokens(['one'])
    const token = tokens.sign(claims)
    const bytes = Buffer.from(token, 'base64url')
    const changed = Array.from({ length: bytes.length * 8 }, (_, bit) => {
      const copy = Buffer.from(bytes)
      copy[bit >> 3]! ^= 1 << (bit & 7)
      return copy.toString('base64url')
    })
    const others = [token.slice(1), token.slice(0, -1), `${token}A`, `${token}=`, ` ${token}`, '', 'x'.repeat(64)]
    const standard = tokenWithBothMarks(tokens)

    for (const wrong of [...changed, ...others, standard]) expect(tokens.verify(wrong)).toBeNull()
  })

  it('stays valid while its secret is one of several, and no longer', () => {
    const token = linkTokens(['old']).sign(claims)

    expect(linkTokens(['new', 'old']).verify(token)).toEqual(claims)
    expect(linkTokens(['new']).verify(token)).toBeNull()
    expect(linkTokens(['old']).verify(linkTokens(['new', 'old']).sign(claims))).toBeNull()
  })
})

/** A token in the other alphabet of Base64, which decodes to the same bytes. */
function tokenWithBothMarks(tokens: ReturnType<typeof linkTokens>): string {
  for (;;) {
    const token = tokens.sign({ ...claims, fileId: randomUUID() })
    if (/[-_]/.test(token)) return token.replaceAll('-', '+').replaceAll('_', '/')
  }
}

describe('the expiry of a link', () => {
  const at = (seconds: number) => new Date(seconds * 1000)

  it.each([
    [1, 1],
    [60, 75],
    [3600, 4500],
    [86_400, 90_000],
    [604_800, 608_400],
  ])('of %i seconds is never sooner, and at most %i seconds away', (lifetime, most) => {
    for (let now = 1_000_000; now < 1_000_000 + 2 * 3600; now += 97) {
      const left = expiryOf(at(now), lifetime) - now
      expect(left).toBeGreaterThanOrEqual(lifetime)
      expect(left).toBeLessThanOrEqual(most)
    }
  })

  it('is the same for equal requests within a window', () => {
    const window = 900
    const begin = Math.ceil(1_000_000 / window) * window

    const expiries = new Set([1, 300, 900].map((second) => expiryOf(at(begin + second), 3600)))

    expect(expiries.size).toBe(1)
    expect(expiryOf(at(begin + 901), 3600)).not.toBe([...expiries][0])
  })
})
