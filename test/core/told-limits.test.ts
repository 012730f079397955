import { describe, expect, it } from 'vitest'
import { defaultPolicies, type PolicyDocument } from '../../src/core/policy/policy.ts'
import { ada, bodyOf, openEngine } from '../support/open-engine.ts'

const creation = { filename: 'a.bin', contentType: 'application/octet-stream' }
const minute = 60_000

describe('an open upload', () => {
  it('keeps the limits that its creation was answered with', async () => {
    let policies: PolicyDocument = { ...defaultPolicies, users: { ada: { maxSize: 50, timeToLiveMs: minute } } }
    const start = new Date()
    const { engine } = await openEngine({ policies: () => policies, now: () => start })
    const known = await engine.create(ada, { ...creation, size: 40 })
    const unknown = await engine.create(ada, { ...creation, size: null })

    policies = {
      ...defaultPolicies,
      roles: { creator: { ...defaultPolicies.roles.creator, maxSize: 10, timeToLiveMs: 1000 } },
    }

    const chunk = { offset: 0, body: bodyOf(Buffer.alloc(20)), bodySize: 20, ending: 'later' } as const
    const appended = await engine.append(ada, known.id, chunk)
    expect(appended).toMatchObject({ offset: 20, expiresAt: new Date(start.getTime() + minute) })
    const long = { offset: 0, body: bodyOf(Buffer.alloc(60)), bodySize: null, ending: 'with-body' } as const
    await expect(engine.append(ada, unknown.id, long)).rejects.toMatchObject({
      code: 'FILE_TOO_LARGE',
      facts: { maxSize: 50 },
    })
    await expect(engine.create(ada, { ...creation, size: 11 })).rejects.toMatchObject({ facts: { maxSize: 10 } })
  })

  it('is refused but kept while its role may not upload', async () => {
    let policies: PolicyDocument = defaultPolicies
    const { engine } = await openEngine({ policies: () => policies })
    const upload = await engine.create(ada, { ...creation, size: 5 })

    policies = { ...defaultPolicies, roles: {} }

    const chunk = { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' } as const
    await expect(engine.append(ada, upload.id, chunk)).rejects.toMatchObject({ code: 'ROLE_NOT_ALLOWED' })
    await expect(engine.create(ada, { ...creation, size: 5 })).rejects.toMatchObject({ code: 'ROLE_NOT_ALLOWED' })
    policies = defaultPolicies
    const retry = { ...chunk, body: bodyOf(Buffer.from('hello')) }
    expect(await engine.append(ada, upload.id, retry)).toMatchObject({ state: 'completed' })
  })
})
