import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import { examine, printFinding } from '../../src/cli/doctor/doctor.ts'
import { loadConfig } from '../../src/config.ts'
import type { Finding } from '../../src/stores/finding.ts'
import { type NodeProcess, startNodeProcess } from './node-process.ts'
import { type FreshDatabase, freshDatabase } from './postgres.ts'
import { type S3StandIn, startS3StandIn } from './s3-stand-in.ts'
import { testSecret } from './tus-file.ts'

const production = { NODE_ENV: 'production', JWT_SECRET: testSecret, STORE: 's3', PART_SIZE: '5MiB', LOG_LEVEL: 'warn' }

/** A set-up without errors, and the findings of the doctor about it. */
export interface Examined {
  database: FreshDatabase
  s3: S3StandIn
  server: NodeProcess
  /** Its settings, without PUBLIC_URL, whose checks take seconds. */
  settings: Record<string, string>
  /** Changes with which the bucket is not examined, for tests of other parts: that takes longest. */
  withoutBucket: Record<string, string>
  /** The findings with `changes` of the settings. */
  examineWith(changes?: Record<string, string | undefined>): Promise<Finding[]>
  /** Expects one error, with this message and this fix, and no secret in any finding. */
  expectOnly(found: Finding[], about: string, message: RegExp, fix: RegExp): void
}

/** Starts the set-up before the tests of a file and stops it after them. The returned object is filled when the tests run. */
export function examined(): Examined {
  const parts = {} as Examined

  beforeAll(async () => {
    parts.database = await freshDatabase({ isMigrated: true })
    parts.s3 = await startS3StandIn({ equalParts: true })
    parts.settings = {
      ...production,
      DATABASE_URL: parts.database.url,
      ...parts.s3.settings,
      TRUST_PROXY: 'loopback',
    }
    parts.withoutBucket = { STORE: 'local', DATA_DIR: await mkdtemp(join(tmpdir(), 'landfall-examined-')) }
    parts.server = await startNodeProcess({ environment: parts.settings })
  })

  afterAll(async () => {
    await parts.server.kill()
    await parts.s3.close()
    await parts.database.dispose()
    await rm(parts.withoutBucket.DATA_DIR!, { recursive: true })
  })

  parts.examineWith = async (changes = {}) => {
    const found: Finding[] = []
    for await (const finding of examine(() => loadConfig({ ...parts.settings, ...changes }))) found.push(finding)
    return found
  }
  parts.expectOnly = (found, about, message, fix) => {
    expect(errorsOf(found).map(printFinding)).toHaveLength(1)
    const [error] = errorsOf(found)
    expect(error).toMatchObject({ about, message: expect.stringMatching(message), fix: expect.stringMatching(fix) })
    expect(JSON.stringify(found)).not.toContain(parts.s3.secretAccessKey)
  }
  return parts
}

export const errorsOf = (found: Finding[]) => found.filter(({ status }) => status === 'error')

/** Starts a web server that is not Landfall; its URL. */
export async function otherServer(answer: RequestListener): Promise<string> {
  const other = createServer(answer).listen(0, '127.0.0.1')
  onTestFinished(() => void other.close(() => {}))
  await new Promise((resolve) => other.once('listening', resolve))
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`
}
