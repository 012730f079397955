/*
 * Three failures after which clients of other servers were answered with success although there was no file: completing the multipart
 * upload fails once; the bucket aborts the multipart upload during a pause; a subscriber to completions fails. Here the client has no
 * success without the object, and the event is always delivered.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { Upload } from 'tus-js-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../../src/db/open.ts'
import { createOutbox, type DeliveredEvent } from '../../../src/jobs/outbox.ts'
import { startNodeProcess } from '../../support/node-process.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { headersOf, sendFile, testSecret } from '../../support/tus-file.ts'

const MiB = 1024 ** 2

async function openServer() {
  const database = await freshDatabase()
  const s3 = await startS3StandIn({ equalParts: true })
  const server = await startNodeProcess({
    environment: {
      STORE: 's3',
      DATABASE_URL: database.url,
      JWT_SECRET: testSecret,
      ...s3.settings,
      PART_SIZE: '5MiB',
      LOG_LEVEL: 'warn',
      LOSS_CONFIRM: '0s',
    },
  })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  onTestFinished(async () => {
    await server.kill()
    await client.end()
    await s3.close()
    await database.dispose()
  })
  return { server, s3, database, client }
}

describe('with tus-js-client', () => {
  it('a failed completion is retried until the object exists', { timeout: 60_000 }, async () => {
    const { server, s3, client } = await openServer()
    const bytes = randomBytes(12 * MiB)
    // The SDK retries: only more failures than it retries reach the server.
    s3.faults.next('CompleteMultipartUpload', { status: 500, times: 4 })

    await sendFile(server.url, bytes, { retryDelays: [100, 500, 1000, 2000, 3000] })

    const { rows } = await client.query(`select key, state from upload_sessions`)
    expect(rows).toMatchObject([{ state: 'completed' }])
    expect((await s3.bytesOf(rows[0].key))?.equals(bytes)).toBe(true)
    expect(s3.multiparts()).toEqual([])
  })

  it('an upload that the bucket aborted during a pause fails and is started again', {
    timeout: 60_000,
  }, async () => {
    const { server, s3, client } = await openServer()
    const bytes = randomBytes(17 * MiB)
    const headers = await headersOf()
    const first = await new Promise<Upload>((resolve, reject) => {
      const upload: Upload = new Upload(bytes as never, {
        endpoint: `${server.url}/files`,
        headers,
        chunkSize: 6 * MiB,
        onChunkComplete: (_size, accepted) => {
          if (accepted >= 12 * MiB) void upload.abort().then(() => resolve(upload))
        },
        onError: reject,
      })
      upload.start()
    })
    await s3.abortMultiparts()
    const resume = () => sendFile(server.url, bytes, { uploadUrl: first.url!, retryDelays: [100, 200, 500] })

    await expect(resume()).rejects.toThrow('410')
    const url = await resume()

    expect(url).not.toBe(first.url)
    const { rows } = await client.query(`select key, state, failure from upload_sessions order by created_at`)
    expect(rows).toMatchObject([
      { state: 'failed', failure: 'lost' },
      { state: 'completed', failure: null },
    ])
    expect((await s3.bytesOf(rows[1].key))?.equals(bytes)).toBe(true)
    expect(s3.files().map((object) => object.key)).toEqual([rows[1].key])
  })

  it('a subscriber that throws does not undo a completion and is notified again', { timeout: 60_000 }, async () => {
    const { server, database, client } = await openServer()
    await sendFile(server.url, randomBytes(MiB))
    await client.query(`update upload_events set delivered_at = null, next_attempt_at = now()`)
    const opened = await openDatabase({ url: database.url, dataDir: '', pool: 2, timeoutMs: 2000, onError: () => {} })
    await server.stop()
    const delivered: DeliveredEvent[] = []
    let failures = 2
    const outbox = createOutbox(
      opened,
      [
        (event) => {
          if (event.type === 'upload.completed' && failures-- > 0) throw new Error('the subscriber is down')
          delivered.push(event)
        },
      ],
      () => {},
    )
    await client.query(`update upload_events set delivered_at = null, next_attempt_at = now()`)

    for (let round = 0; round < 4; round += 1) {
      await outbox.deliver()
      await client.query(`update upload_events set next_attempt_at = now() where delivered_at is null`)
    }

    expect(delivered.map((event) => [event.seq, event.type])).toEqual([
      [1, 'upload.created'],
      [2, 'upload.completed'],
    ])
    await opened.close()
  })
})
