import { describe, expect, it } from 'vitest'
import { defaultPolicies } from '../../src/core/policy/policy.ts'
import { creationRules } from '../../src/core/policy/rules/index.ts'
import { PolicyError, policyFieldNames, readPolicyDocument, writePolicyDocument } from '../../src/policies/schema.ts'

const required = { maxSize: null, mediaTypes: null, categories: null, timeToLive: null }

describe('a policy document', () => {
  it('accepts sizes, times and counts with units', () => {
    const { roles } = readPolicyDocument({
      roles: {
        member: {
          ...required,
          maxSize: '10 GiB',
          timeToLive: '7 days',
          bytesPerSecond: '5MiB',
          bytesPerDay: 1000,
          uploadsAtOnce: 3,
          creationsPerMinute: '60',
          fileNames: { deny: ['*.exe'] },
          partSize: '16MiB',
        },
      },
    })

    expect(roles.member).toEqual({
      maxSize: 10 * 1024 ** 3,
      mediaTypes: null,
      categories: null,
      timeToLiveMs: 7 * 86_400_000,
      bytesPerSecond: 5 * 1024 ** 2,
      bytesPerDay: 1000,
      uploadsAtOnce: 3,
      creationsPerMinute: 60,
      fileNames: { allow: null, deny: ['*.exe'], maxLength: null },
      partSize: 16 * 1024 ** 2,
    })
  })

  it('has every field that a rule reads', () => {
    const read = creationRules.flatMap(({ fields }) => Object.keys(fields))

    expect(policyFieldNames).toEqual(expect.arrayContaining(read))
    expect(policyFieldNames[0]).toBe('maxSize')
  })

  it('may set the required fields under default', () => {
    const document = readPolicyDocument({ default: required, roles: { guest: {} } })

    expect(document).toMatchObject({ roles: { guest: {} }, tenants: {}, users: {} })
  })

  it('has one canonical form, which can be read again', () => {
    const written = writePolicyDocument(
      readPolicyDocument({
        users: { bob: { totalBytes: '2048MiB' } },
        tenants: { acme: { users: { ada: { timeToLive: '36h' } }, maxSize: 1000 } },
        roles: { member: { ...required, maxSize: '1.5GiB' }, guest: required },
      }),
    )

    expect(JSON.stringify(written)).toBe(
      JSON.stringify({
        default: {},
        roles: { guest: required, member: { ...required, maxSize: '1536 MiB' } },
        tenants: { acme: { maxSize: '1000 bytes', users: { ada: { timeToLive: '36 hours' } } } },
        users: { bob: { totalBytes: '2 GiB' } },
      }),
    )
    expect(writePolicyDocument(readPolicyDocument(written))).toEqual(written)
    expect(readPolicyDocument(writePolicyDocument(defaultPolicies))).toEqual(defaultPolicies)
  })

  it.each([
    [[], 'expected object'],
    ['roles', 'expected object'],
    [{}, 'roles: '],
    [{ roles: {}, rules: {} }, 'rules: there is no such field'],
    [
      { roles: { member: { ...required, maxsize: 1 } } },
      'roles.member.maxsize: there is no such field; the fields are maxSize, ',
    ],
    [{ roles: { member: { ...required, maxSize: 'much' } } }, 'roles.member.maxSize: expected a size such as "8 MiB"'],
    [{ roles: { member: { ...required, maxSize: -1 } } }, 'roles.member.maxSize: expected a size'],
    [{ roles: { member: { ...required, maxSize: 1.5 } } }, 'roles.member.maxSize: expected a size'],
    [{ roles: { member: { ...required, timeToLive: '7 weks' } } }, 'roles.member.timeToLive: expected a time'],
    [{ roles: { member: { ...required, timeToLive: '0s' } } }, 'roles.member.timeToLive: expected a time'],
    [
      { roles: { member: { ...required, bytesPerSecond: '10' } } },
      'roles.member.bytesPerSecond: expected bytes a second',
    ],
    [
      { roles: { member: { ...required, uploadsAtOnce: true } } },
      'roles.member.uploadsAtOnce: expected a whole number',
    ],
    [
      { roles: { member: { ...required, requestsPerMinute: 0 } } },
      'roles.member.requestsPerMinute: expected a whole number',
    ],
    [{ roles: { member: { ...required, categories: ['pictures'] } } }, 'roles.member.categories.0: '],
    [{ roles: { member: { ...required, mediaTypes: [] } } }, 'roles.member.mediaTypes: '],
    [{ roles: { member: { ...required, mediaTypes: ['image'] } } }, 'roles.member.mediaTypes.0: expected a media type'],
    [
      { roles: { member: { ...required, fileNames: { denied: [] } } } },
      'roles.member.fileNames.denied: there is no such field',
    ],
    [
      { roles: { member: { ...required, partSize: '1KiB' } } },
      'roles.member.partSize: expected a size of at least 64 KiB',
    ],
    [{ roles: { press: { maxSize: 1 } } }, 'roles.press: must set mediaTypes, categories, timeToLive'],
    [{ roles: { '../up': required } }, 'roles.../up: '],
    [
      { roles: {}, tenants: { acme: { users: { ada: { size: 1 } } } } },
      'tenants.acme.users.ada.size: there is no such',
    ],
    [{ roles: {}, users: { ada: null } }, 'users.ada: '],
  ])('%j is refused with path and reason', (json, problem) => {
    expect(problemsOf(json)).toEqual([expect.stringContaining(problem)])
  })

  // A count beyond the largest integer of the database would break every upload.
  it.each(['uploadsAtOnce', 'creationsPerMinute', 'requestsPerMinute', 'filesPerDay', 'totalFiles'])(
    'limits %s to the largest integer of the database',
    (field) => {
      const problem = `roles.member.${field}: expected a whole number`
      expect(problemsOf({ roles: { member: { ...required, [field]: 2 ** 31 - 1 } } })).toEqual([])
      expect(problemsOf({ roles: { member: { ...required, [field]: 2 ** 31 } } })).toEqual([
        expect.stringContaining(problem),
      ])
    },
  )

  it('limits timeToLive to 365000 days', () => {
    expect(problemsOf({ roles: { member: { ...required, timeToLive: '365000 days' } } })).toEqual([])
    expect(problemsOf({ roles: { member: { ...required, timeToLive: '4000000 days' } } })).toEqual([
      expect.stringContaining('roles.member.timeToLive: expected a time'),
    ])
  })

  it('reports all problems at once', () => {
    expect(
      problemsOf({ roles: { a: { ...required, maxSize: 'x', timeToLive: 'y' } }, users: { u: { z: 1 } } }),
    ).toHaveLength(3)
  })
})

function problemsOf(json: unknown): string[] {
  try {
    readPolicyDocument(json)
  } catch (error) {
    if (error instanceof PolicyError) return error.problems
    throw error
  }
  return []
}
