// A process that takes the lock in a folder, says so over HTTP, and keeps it.
import { createServer } from 'node:http'
import { withFolderLock } from '../../../src/db/embedded/folder-lock.ts'

await withFolderLock(process.argv[2]!, async () => {
  createServer((_, response) => response.end()).listen(Number(process.env.PORT), process.env.HOST)
  await new Promise(() => {})
})
