/* The client process: does one job after another and reports how long it took. */
import { sendConcatenated, sendRufh, sendSlowly, sendTus, type Upload } from './uploads.ts'
import { type Connection, openConnection } from './wire.ts'

/** What the clients do. Times in milliseconds, sizes in bytes. */
export interface Work {
  protocol: 'tus' | 'rufh' | 'concatenation'
  files: number
  /** Concurrent files; for `concatenation`, partial uploads of one file. */
  atOnce: number
  fileSize: number
  /** Bytes of one request; 0: the whole file. */
  chunkSize: number
  withUpload: boolean
  /** Slow uploads, beside which the files are sent one after another, with a pause between. */
  slow?: { uploads: number; size: number; bytesPerSecond: number; pauseMs: number } | undefined
}

export interface Job {
  port: number
  token: string
  work: Work
}

export interface Outcome {
  bytes: number
  files: number
  ms: number
  /** Milliseconds of every request with a body; beside slow uploads, of every file. */
  latencies: number[]
  /** The fastest and the slowest of the slow uploads, and how many failed. */
  slow: { fastestMs: number; slowestMs: number; failed: number; failures: Record<string, number> } | null
}

process.on('message', (job: Job) => {
  const startedAt = performance.now()
  void perform(job)
    .then((outcome) => process.send!({ ...outcome, ms: performance.now() - startedAt }))
    .catch((error: unknown) => process.send!({ error: String(error) }))
})
process.on('disconnect', () => process.exit())

async function perform({ port, token, work }: Job): Promise<Omit<Outcome, 'ms'>> {
  const latencies: number[] = []
  const onTime = (ms: number) => void latencies.push(ms)
  const upload: Upload = { size: work.fileSize, chunk: work.chunkSize, withUpload: work.withUpload, token }
  const bytes = work.fileSize * work.files
  if (work.slow) return { ...(await besideSlow(port, work, upload, work.slow)), bytes }

  const connections = await Promise.all(Array.from({ length: work.atOnce }, () => openConnection(port)))
  if (work.protocol === 'concatenation') {
    for (let file = 0; file < work.files; file += 1) await sendConcatenated(connections, upload, onTime)
  } else {
    const send = work.protocol === 'rufh' ? sendRufh : sendTus
    let created = 0
    const sendFiles = async (connection: Connection) => {
      while (created++ < work.files) await send(connection, upload, onTime)
    }
    await Promise.all(connections.map(sendFiles))
  }
  for (const connection of connections) connection.close()
  return { bytes, files: work.files, latencies, slow: null }
}

async function besideSlow(
  port: number,
  work: Work,
  upload: Upload,
  slow: NonNullable<Work['slow']>,
): Promise<Omit<Outcome, 'ms' | 'bytes'>> {
  const times: number[] = []
  const failures: Record<string, number> = {}
  let left = slow.uploads
  const all = Array.from({ length: slow.uploads }, async (_, index) => {
    // Real clients do not start in the same millisecond.
    await new Promise((resolve) => setTimeout(resolve, (index / slow.uploads) * 4000))
    const startedAt = performance.now()
    try {
      const connection = await openConnection(port)
      await sendSlowly(connection, { ...upload, size: slow.size }, slow.bytesPerSecond)
      connection.close()
      times.push(performance.now() - startedAt)
    } catch (error) {
      failures[String(error)] = (failures[String(error)] ?? 0) + 1
    } finally {
      left -= 1
    }
  })
  await new Promise((resolve) => setTimeout(resolve, 5000))
  const latencies: number[] = []
  const fast = await openConnection(port)
  for (let file = 0; file < work.files && left > 0; file += 1) {
    const startedAt = performance.now()
    await sendTus(fast, upload)
    latencies.push(performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, slow.pauseMs))
  }
  fast.close()
  await Promise.all(all)
  return {
    files: latencies.length,
    latencies,
    slow: {
      fastestMs: Math.min(...times),
      slowestMs: Math.max(...times),
      failed: slow.uploads - times.length,
      failures,
    },
  }
}
