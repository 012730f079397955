import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { takeFolder } from '../../src/db/one-process.ts'
import { startNodeProcess } from '../support/node-process.ts'

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-folder-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

it('a folder is one process’s until it is given back', async () => {
  const folder = await newFolder()
  const giveBack = await takeFolder(folder)

  await expect(takeFolder(folder)).rejects.toThrow('another Landfall is running')
  await (await takeFolder(await newFolder()))()
  await giveBack()
  await (await takeFolder(folder))()
})

it('a second server on an embedded database does not start, and the first keeps every session when it is killed', async () => {
  const folder = await newFolder()
  const environment = { DATA_DIR: folder }
  const first = await startNodeProcess({ environment })
  onTestFinished(() => first.kill())
  const headers = { authorization: `Bearer ${/token +(\S+)/.exec(first.log())?.[1]}`, 'tus-resumable': '1.0.0' }
  const made = await fetch(`${first.url}/files`, { method: 'POST', headers: { ...headers, 'upload-length': '10' } })
  const url = new URL(made.headers.get('location') ?? '', first.url)

  await expect(startNodeProcess({ environment })).rejects.toThrow('another Landfall is running')
  await first.kill()
  await first.start()

  expect((await fetch(url, { method: 'HEAD', headers })).headers.get('upload-offset')).toBe('0')
})
