import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { answerErrors } from '../../src/http/errors.ts'
import { pagePlugin } from '../../src/http/static.ts'

it.each([
  [{ 'if-match': '"another"' }, 412, 'PRECONDITION_FAILED'],
  [{ 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 412, 'PRECONDITION_FAILED'],
  [{ range: 'bytes=9999-' }, 200, null],
] as const)('a page that is asked for with %o is answered with %i', async (headers, status, code) => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-page-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'index.html'), '<p>hello</p>')
  const app = fastify()
  onTestFinished(() => app.close())
  answerErrors(app)
  await app.register(pagePlugin, { folder })

  const answer = await app.inject({ url: '/', headers })

  expect(answer.statusCode).toBe(status)
  if (code) expect(answer.json()).toMatchObject({ error: { code } })
})
