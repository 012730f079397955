// A process that acquires the lock in a folder and keeps it. It answers HTTP requests once it holds the lock.
import { createServer } from 'node:http'
import { withFolderLock } from '../../../src/db/embedded/folder-lock.ts'

await withFolderLock(process.argv[2]!, async () => {
  createServer((_, response) => response.end()).listen(Number(process.env.PORT), process.env.HOST)
  await new Promise(() => {})
})
