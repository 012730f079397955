import { expect, it } from 'vitest'
import { accessErrors } from '../../src/core/errors/access.ts'
import { adminErrors } from '../../src/core/errors/admin.ts'
import { errorCodes } from '../../src/core/errors/error.ts'
import { errors } from '../../src/core/errors/errors.ts'
import { fileErrors } from '../../src/core/errors/files.ts'
import { identityErrors } from '../../src/core/errors/identity.ts'
import { infrastructureErrors } from '../../src/core/errors/infrastructure.ts'
import { requestErrors } from '../../src/core/errors/requests.ts'
import { restErrors } from '../../src/core/errors/rest.ts'
import { rufhErrors } from '../../src/core/errors/rufh.ts'
import { tusErrors } from '../../src/core/errors/tus.ts'
import { uploadErrors } from '../../src/core/errors/uploads.ts'
import { webhookErrors } from '../../src/core/errors/webhooks.ts'

const sections = {
  accessErrors,
  adminErrors,
  fileErrors,
  identityErrors,
  infrastructureErrors,
  requestErrors,
  restErrors,
  rufhErrors,
  tusErrors,
  uploadErrors,
  webhookErrors,
}

it('the error table has every maker of its sections, and no name twice', () => {
  const names = Object.values(sections).flatMap((section) => Object.keys(section))

  expect(names.length).toBeGreaterThan(100)
  expect(Object.keys(errors).sort()).toEqual(names.sort())
})

it.each(Object.entries(errors))('%s has a code of the table, its status and one sentence', (_, make) => {
  // Facts that a sentence names are given as text, which every sentence can print.
  const facts = new Proxy({}, { get: (_, name) => (typeof name === 'string' ? 1 : undefined) })
  const error = (make as (facts: object) => Error & { code: keyof typeof errorCodes; status: number })(facts)

  expect(errorCodes[error.code]).toBe(error.status)
  expect(error.message).toMatch(/\S/)
})

it('an error keeps its cause and its facts, and tells the client neither', () => {
  const cause = new Error('connect ECONNREFUSED')
  const error = errors.offsetMismatch({ offset: 5, provided: 7 }, cause)

  expect(error).toMatchObject({ code: 'OFFSET_MISMATCH', status: 409, facts: { offset: 5, provided: 7 }, cause })
  expect(error.message).not.toContain('ECONNREFUSED')
})
