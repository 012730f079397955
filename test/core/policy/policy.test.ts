import { describe, expect, it } from 'vitest'
import { matchesGlob } from '../../../src/core/policy/glob.ts'
import {
  defaultPolicies,
  effectivePolicy,
  largestSize,
  type PolicyDocument,
  type PolicyRules,
} from '../../../src/core/policy/policy.ts'
import { userOf } from '../../../src/core/upload.ts'
import { cpuTimeOf } from '../../support/cpu-time.ts'

const document: PolicyDocument = {
  default: { uploadsAtOnce: 5, maxSize: 1 },
  roles: { member: { maxSize: 10, totalBytes: 100 }, guest: {} },
  tenants: { acme: { maxSize: 20, totalBytes: null, users: { ada: { uploadsAtOnce: 7 } } } },
  users: { ada: { maxSize: 30 } },
}

describe('an effective policy', () => {
  it.each([
    ['a user of no tenant', { id: 'ada', role: 'member', tenant: null }, 'maxSize', 30, 'user'],
    ['another user of the same id in a tenant', { id: 'ada', role: 'member', tenant: 'acme' }, 'maxSize', 20, 'tenant'],
    ['a user of a tenant', { id: 'ada', role: 'member', tenant: 'acme' }, 'uploadsAtOnce', 7, 'user'],
    ['another user of the tenant', { id: 'bob', role: 'member', tenant: 'acme' }, 'uploadsAtOnce', 5, 'default'],
    ['a tenant that removes a limit', { id: 'bob', role: 'member', tenant: 'acme' }, 'totalBytes', null, 'tenant'],
    ['a tenant without a section', { id: 'ada', role: 'member', tenant: 'umbrella' }, 'maxSize', 10, 'role'],
    ['an empty role', { id: 'bob', role: 'guest', tenant: null }, 'maxSize', 1, 'default'],
    ['a field that is not set', { id: 'bob', role: 'guest', tenant: null }, 'filesPerDay', null, 'default'],
    [
      'a user named like a member of Object',
      { id: 'constructor', role: 'guest', tenant: null },
      'maxSize',
      1,
      'default',
    ],
  ] as const)('has the most specific value of each field: %s', (_, actor, field, value, source) => {
    const effective = effectivePolicy(document, userOf(actor.id, actor.role, actor))!

    expect(effective.policy[field]).toBe(value)
    expect(effective.sources[field]).toBe(source)
  })

  it.each(['unknown', 'constructor', '__proto__'])('does not exist for the undefined role %s', (role) => {
    expect(effectivePolicy(document, userOf('ada', role, { tenant: 'acme' }))).toBeNull()
  })

  it('is cached by role, for one document', () => {
    const zoe = userOf('zoe', 'member')
    const other = { ...document, default: { filesPerDay: 3 } }

    expect(effectivePolicy(document, zoe)).toBe(effectivePolicy(document, { ...zoe, id: 'eve' }))
    expect(effectivePolicy(other, zoe)?.policy.filesPerDay).toBe(3)
    expect(effectivePolicy(document, zoe)?.policy.filesPerDay).toBeNull()
  })

  it('is not needed for the size limit announced to unauthenticated clients', () => {
    expect(largestSize(document)).toBe(30)
    expect(largestSize(defaultPolicies)).toBe(10 * 1024 ** 3)
    expect(largestSize({ ...document, users: { eve: { maxSize: null } } })).toBe(Number.MAX_SAFE_INTEGER)
  })
})

describe('a glob pattern', () => {
  it.each([
    ['report.PDF', '*.pdf', true],
    ['report.pdf.exe', '*.pdf', false],
    ['', '*', true],
    ['', '?', false],
    ['ä.b', '?.b', true],
    ['🙂.b', '?.b', true],
    ['aXbXc', 'a*b*c', true],
    ['abcabd', 'a*abd', true],
    ['a', 'a*?', false],
    ['image/svg+xml', 'image/*', true],
    ['a.c', 'a?c', true],
    ['abc', 'a.c', false],
    ['[x]', '[x]', true],
  ])('matches %j with %s: %s', (text, pattern, isMatch) => {
    expect(matchesGlob(text, pattern)).toBe(isMatch)
  })

  it('has no slow input', async () => {
    const ms = await cpuTimeOf(() => matchesGlob('a'.repeat(1024), `${'*a'.repeat(90)}*b`))

    expect(ms).toBeLessThan(500)
  })
})

describe('a built-in role', () => {
  it.each(Object.entries<PolicyRules>(defaultPolicies.roles))('%s has quotas', (_role, rules) => {
    for (const field of ['uploadsAtOnce', 'bytesPerDay', 'filesPerDay', 'totalBytes'] as const)
      expect(rules[field], field).toBeGreaterThan(0)
    expect(rules.totalBytes).toBeGreaterThan(10 * rules.maxSize!)
  })
})
