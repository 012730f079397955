import { afterAll, vi } from 'vitest'
import { finishFile } from './file-end.ts'

afterAll(async () => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
  await finishFile()
})
