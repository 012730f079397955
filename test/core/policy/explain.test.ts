import { describe, expect, it } from 'vitest'
import { type ExplainContext, type ExplainRequest, explain } from '../../../src/core/policy/explain.ts'
import type { PolicyDocument } from '../../../src/core/policy/policy.ts'
import { noUsage, type Usage } from '../../../src/core/policy/quota.ts'
import { creationRules } from '../../../src/core/policy/rules/index.ts'
import type { Actor } from '../../../src/core/upload.ts'

const ada: Actor = { id: 'ada', role: 'member', tenant: null, isAdmin: false }
const poem: ExplainRequest = { filename: 'poem.txt', contentType: 'text/plain', size: 100 }
const now = new Date('2026-01-02T03:04:05Z')

const policies: PolicyDocument = {
  default: { fileNames: { allow: null, deny: ['*.exe', 'ä*'], maxLength: 20 } },
  roles: { member: { maxSize: 1000, mediaTypes: ['text/*', 'image/*'], categories: ['document'], timeToLiveMs: null } },
  tenants: { acme: { maxSize: 50 } },
  users: { bob: { mediaTypes: ['image/png'], fileNames: { allow: ['*.png'], deny: [], maxLength: null } } },
}

function ask(actor: Actor, explainRequest: ExplainRequest, changes: Partial<ExplainContext> = {}) {
  return explain(actor, explainRequest, {
    policies,
    rules: creationRules,
    maxObjectSize: 5000,
    usage: null,
    now,
    ...changes,
  })
}

describe('explaining', () => {
  it('allows a request, and names the source of every limit', () => {
    const { isAllowed, reasons, effective } = ask({ ...ada, tenant: 'acme' }, { ...poem, size: 50 })

    expect({ isAllowed, reasons }).toEqual({ isAllowed: true, reasons: [] })
    expect(effective).toMatchObject({
      policy: { maxSize: 50, timeToLiveMs: null, totalBytes: null },
      sources: { maxSize: 'tenant', timeToLiveMs: 'role', fileNames: 'default', totalBytes: 'default' },
    })
  })

  it.each([
    ['a role without policy', { ...ada, role: 'guest' }, poem, 'role', 'ROLE_NOT_ALLOWED', null],
    ['a file that is too large for the role', ada, { ...poem, size: 1001 }, 'maxSize', 'FILE_TOO_LARGE', 'role'],
    [
      'a file that is too large for the tenant',
      { ...ada, tenant: 'acme' },
      poem,
      'maxSize',
      'FILE_TOO_LARGE',
      'tenant',
    ],
    ['a type', ada, { ...poem, contentType: 'video/mp4' }, 'mediaTypes', 'TYPE_NOT_ALLOWED', 'role'],
    [
      'a type that the user may not send',
      { ...ada, id: 'bob' },
      { ...poem, filename: 'a.png' },
      'mediaTypes',
      'TYPE_NOT_ALLOWED',
      'user',
    ],
    ['a category', ada, { ...poem, contentType: 'image/png' }, 'categories', 'CATEGORY_NOT_ALLOWED', 'role'],
    ['a category that does not exist', ada, { ...poem, category: 'poems' }, 'request', 'CATEGORY_NOT_ALLOWED', null],
    ['a name', ada, { ...poem, filename: 'Virus.EXE' }, 'fileNames', 'INVALID_METADATA', 'default'],
    [
      'a name written in the other normal form',
      ada,
      { ...poem, filename: 'a\u0308.txt' },
      'fileNames',
      'INVALID_METADATA',
      'default',
    ],
    ['a name that is too long', ada, { ...poem, filename: 'x'.repeat(21) }, 'fileNames', 'INVALID_METADATA', 'default'],
    [
      'a name that is not allowed',
      { ...ada, id: 'bob' },
      { ...poem, contentType: 'image/png', category: 'other' },
      'fileNames',
      'INVALID_METADATA',
      'user',
    ],
    ['a name that is not valid text', ada, { ...poem, filename: '\ud800' }, 'request', 'INVALID_METADATA', null],
  ] as const)('names the rule that denies %s', (_, actor, creation, rule, code, from) => {
    const { isAllowed, reasons } = ask(actor, creation)

    expect(isAllowed).toBe(false)
    expect(reasons[0]).toEqual({ rule, code, from, why: expect.stringMatching(/^[A-Z].*\.$/) })
  })

  it('names all rules that deny a request, in the order of evaluation', () => {
    const { reasons } = ask(ada, { filename: 'a.exe', contentType: 'video/mp4', size: 6000 })

    expect(reasons.map(({ rule }) => rule)).toEqual(['fileNames', 'mediaTypes', 'categories', 'maxSize'])
  })

  it('knows the largest object of the store', () => {
    const { reasons } = ask(ada, { ...poem, size: 900 }, { maxObjectSize: 800 })

    expect(reasons).toMatchObject([{ rule: 'store', code: 'FILE_TOO_LARGE', from: null }])
  })

  it.each([
    ['creationsPerMinute', { creationsUntil: new Date(now.getTime() + 60_000) }, 'RATE_LIMITED'],
    ['uploadsAtOnce', { openUploads: 2 }, 'RATE_LIMITED'],
    ['totalBytes', { reservedBytes: 300, storedBytes: 101 }, 'QUOTA_EXCEEDED'],
    ['totalFiles', { storedFiles: 2, openFiles: 1 }, 'QUOTA_EXCEEDED'],
    ['bytesPerDay', { dayBytes: 201 }, 'QUOTA_EXCEEDED'],
    ['filesPerDay', { dayFiles: 4 }, 'QUOTA_EXCEEDED'],
  ])('takes the usage into account: %s', (rule, taken: Partial<Usage>, code) => {
    const limits = {
      creationsPerMinute: 2,
      uploadsAtOnce: 2,
      totalBytes: 500,
      totalFiles: 3,
      bytesPerDay: 300,
      filesPerDay: 4,
    }
    const strict = { ...policies, users: { ada: limits } }
    const explained = (usage: Usage) => ask(ada, poem, { policies: strict, usage }).reasons

    expect(explained(noUsage)).toEqual([])
    expect(explained({ ...noUsage, ...taken })).toMatchObject([{ rule, code, from: 'user' }])
  })
})
