import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { sendSecurityHeaders } from '../../src/http/security-headers.ts'
import { pagePlugin } from '../../src/http/static.ts'

describe('a page', () => {
  it.each(['/', '/admin', '/script.js'])('has a security policy that lets it load its own files: %s', async (url) => {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-pages-'))
    for (const name of ['index.html', 'admin.html', 'script.js']) await writeFile(join(folder, name), name)
    const app = Fastify()
    onTestFinished(async () => {
      await app.close()
      await rm(folder, { recursive: true })
    })
    sendSecurityHeaders(app)
    await app.register(pagePlugin, { folder })

    const { headers } = await app.inject({ url })

    expect(headers['content-security-policy']).toMatch(/script-src 'self'/)
    expect(headers['content-security-policy']).toMatch(/frame-ancestors 'none'/)
    expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|https?:/)
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(headers['x-frame-options']).toBe('DENY')
  })
})
