import { globSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { features } from '../../src/features/index.ts'
import { testApp } from '../support/test-app.ts'

/** The folder of `createAdminUploads` is `admin-uploads`. */
const folderOf = (name: string) =>
  name
    .replace(/^create/, '')
    .replace(/(?<!^)[A-Z]/g, '-$&')
    .toLowerCase()

describe('the list of features', () => {
  it('names every folder', () => {
    const folders = globSync('src/features/*/index.ts').map((path) => basename(dirname(path)))

    expect(folders.length).toBeGreaterThan(5)
    expect(features.map(({ name }) => folderOf(name)).toSorted()).toEqual(folders.toSorted())
    expect(new Set(globSync('src/features/*/*.ts').map(dirname)).size).toBe(folders.length)
  })

  it('begins with the audit log, which is closed last and seals what others wrote', () => {
    expect(features[0].name).toBe('createAudit')
  })
})

describe('a server', () => {
  it('serves the admin routes of features below /v1/admin only', async () => {
    const routes: string[] = []
    await testApp({}, { onRoute: ({ url }) => void routes.push(url) })

    const admin = ['audit', 'policies', 'usage', 'keys', 'uploads', 'activity']
    expect(admin.filter((name) => !routes.includes(`/v1/admin/${name}`))).toEqual([])
    expect(routes.filter((url) => /^\/v1\/(audit|keys|policies|activity)\b/.test(url))).toEqual([])
  })
})
