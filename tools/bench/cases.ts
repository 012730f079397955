import type { Work } from './load/serve.ts'

/** One case, measured on every server that supports it. */
export interface Case {
  name: string
  what: string
  store: 's3' | 'local'
  work: Work
  /** Delays every answer of S3. */
  latencyMs?: number
  /** Bytes a second on each connection to S3. */
  bandwidth?: number
  /** TLS to S3. */
  isTls?: boolean
  /** Measures the time from the start of the process to the first 201. */
  isColdStart?: boolean
  /** Measured on Landfall only: the usual stack lacks the feature, or the case is about Landfall. */
  lacksPeer?: boolean
  /** Landfall runs as `npm start` does, with its own Postgres, whose CPU seconds are not counted. */
  isEmbedded?: boolean
  /** Takes minutes: runs only when it is named. */
  isLong?: boolean
  /** Settings of Landfall that differ from the defaults. */
  environment?: Record<string, string>
}

const KiB = 1024
const MiB = 1024 ** 2
const GiB = 1024 ** 3

const once: Work = { protocol: 'tus', files: 1, atOnce: 1, fileSize: GiB, chunkSize: 0, withUpload: false }
const small: Work = { ...once, files: 400, fileSize: 100 * KiB }
const slow = { size: 512 * KiB, bytesPerSecond: 16 * KiB, pauseMs: 200 }

function inS3(name: string, what: string, work: Partial<Work>, more: Partial<Case> = {}): Case {
  return { name, what, store: 's3', work: { ...once, ...work }, ...more }
}

function onDisk(name: string, what: string, work: Partial<Work>, more: Partial<Case> = {}): Case {
  return { name, what, store: 'local', work: { ...once, ...work }, ...more }
}

// As the usual stack does it: killing the process loses nothing, a power failure may.
const unsynced = { environment: { LOCAL_FSYNC: 'false' } }

/** Every case, in the order in which they are run and printed. */
export const cases: Case[] = [
  inS3('large', 'one PATCH of 1 GiB', {}),
  inS3('patches-50m', 'PATCHes of 50 MiB', { fileSize: 1000 * MiB, chunkSize: 50 * MiB }),
  inS3('patches-5m', 'PATCHes of 5 MiB', { fileSize: 500 * MiB, chunkSize: 5 * MiB }),
  inS3('patches-1m', 'PATCHes of 1 MiB', { fileSize: 100 * MiB, chunkSize: MiB }),
  inS3('at-once-8', '8 uploads at once, PATCHes of 5 MiB', {
    files: 8,
    atOnce: 8,
    fileSize: 60 * MiB,
    chunkSize: 5 * MiB,
  }),
  inS3('at-once-64', '64 uploads at once, one PATCH of 16 MiB each', { files: 64, atOnce: 64, fileSize: 16 * MiB }),
  inS3('small-1', '100 KiB files, one after another', small),
  inS3('small-8', '100 KiB files, 8 at once', { ...small, files: 800, atOnce: 8 }),
  inS3('small-64', '100 KiB files, 64 at once', { ...small, files: 1600, atOnce: 64 }),
  inS3('small-post-1', '100 KiB files in one POST, one after another', { ...small, withUpload: true }),
  inS3('small-post-8', '100 KiB files in one POST, 8 at once', { ...small, files: 800, atOnce: 8, withUpload: true }),
  inS3('small-post-64', '100 KiB files in one POST, 64 at once', {
    ...small,
    files: 1600,
    atOnce: 64,
    withUpload: true,
  }),
  inS3(
    'rufh',
    'RUFH, 256 MiB in one request',
    { protocol: 'rufh', files: 4, fileSize: 256 * MiB },
    { lacksPeer: true },
  ),
  inS3(
    'rufh-small-8',
    'RUFH, 100 KiB in one request, 8 at once',
    { ...small, protocol: 'rufh', files: 800, atOnce: 8 },
    { lacksPeer: true },
  ),
  inS3(
    'concatenated',
    'one file of 512 MiB as 4 partial uploads',
    { protocol: 'concatenation', atOnce: 4, fileSize: 512 * MiB },
    { lacksPeer: true },
  ),
  inS3(
    'patches-5m-20ms',
    'PATCHes of 5 MiB, S3 answers after 20 ms',
    { fileSize: 150 * MiB, chunkSize: 5 * MiB },
    { latencyMs: 20 },
  ),
  inS3(
    'patches-5m-50ms',
    'PATCHes of 5 MiB, S3 answers after 50 ms',
    { fileSize: 150 * MiB, chunkSize: 5 * MiB },
    { latencyMs: 50 },
  ),
  inS3(
    'small-50ms',
    '100 KiB files in one POST, S3 answers after 50 ms',
    { ...small, files: 30, withUpload: true },
    { latencyMs: 50 },
  ),
  inS3('large-far', 'one PATCH of 1 GiB, S3 far away (30 ms, 80 MB/s)', {}, { latencyMs: 30, bandwidth: 80e6 }),
  inS3('large-tls', 'one PATCH of 1 GiB, TLS to S3', {}, { isTls: true }),
  onDisk('disk-large', 'local disk: one PATCH of 1 GiB', {}),
  onDisk('disk-5m', 'local disk: PATCHes of 5 MiB', { fileSize: 500 * MiB, chunkSize: 5 * MiB }),
  onDisk('disk-small-8', 'local disk: 100 KiB files, 8 at once', { ...small, files: 800, atOnce: 8 }),
  onDisk('disk-post-8', 'local disk: 100 KiB files in one POST, 8 at once', {
    ...small,
    files: 800,
    atOnce: 8,
    withUpload: true,
  }),
  onDisk('disk-large-kill', 'local disk without fsync: one PATCH of 1 GiB', {}, unsynced),
  onDisk(
    'disk-5m-kill',
    'local disk without fsync: PATCHes of 5 MiB',
    { fileSize: 500 * MiB, chunkSize: 5 * MiB },
    unsynced,
  ),
  onDisk(
    'disk-small-8-kill',
    'local disk without fsync: 100 KiB files, 8 at once',
    { ...small, files: 800, atOnce: 8 },
    unsynced,
  ),
  onDisk(
    'disk-post-8-kill',
    'local disk without fsync: 100 KiB files in one POST, 8 at once',
    { ...small, files: 800, atOnce: 8, withUpload: true },
    unsynced,
  ),
  onDisk(
    'embedded-8',
    'as `npm start`, embedded Postgres: 100 KiB files, 8 at once',
    { ...small, files: 800, atOnce: 8 },
    { isEmbedded: true },
  ),
  onDisk(
    'embedded-post-8',
    'as `npm start`, embedded Postgres: 100 KiB files in one POST, 8 at once',
    { ...small, files: 800, atOnce: 8, withUpload: true },
    { isEmbedded: true },
  ),
  inS3('slow-1000', '1 MiB files beside 1,000 slow uploads', {
    files: 60,
    fileSize: MiB,
    slow: { ...slow, uploads: 1000 },
  }),
  inS3('slow-5000', '1 MiB files beside 5,000 slow uploads', {
    files: 60,
    fileSize: MiB,
    slow: { ...slow, uploads: 5000 },
  }),
  inS3(
    'parts-5g',
    'one PATCH of 6 GiB in parts of 5 GiB, memory for 64 MiB of them',
    { fileSize: 6 * GiB },
    { lacksPeer: true, isLong: true, environment: { PART_SIZE: '5GiB', MEMORY_BUDGET: '64MiB' } },
  ),
  inS3(
    'stalled-64',
    '64 uploads at once of 16 MiB, S3 takes 1 MB/s a connection',
    { files: 64, atOnce: 64, fileSize: 16 * MiB },
    { lacksPeer: true, isLong: true, bandwidth: 1e6 },
  ),
  inS3('grown-1', '256 MiB as one upload', { fileSize: 256 * MiB }, { lacksPeer: true, isLong: true }),
  inS3(
    'grown-1000',
    '1 GiB as 1,000 uploads at once',
    { files: 1000, atOnce: 1000, fileSize: MiB },
    { lacksPeer: true, isLong: true },
  ),
  inS3('grown-10g', 'one PATCH of 10 GiB', { fileSize: 10 * GiB }, { lacksPeer: true, isLong: true }),
  inS3(
    'grown-100g',
    'one upload of 100 GiB in PATCHes of 1 GiB',
    { fileSize: 100 * GiB, chunkSize: GiB },
    { lacksPeer: true, isLong: true, environment: { POLICIES: '{"creator":{"maxSize":"100GiB"}}' } },
  ),
  inS3('cold', 'from the start of the process to the first 201', {}, { isColdStart: true }),
]

/** Scales the work: fewer files first, then shorter ones. */
export function scaled(work: Work, scale: number): Work {
  if (scale === 1) return work
  const files = Math.max(work.protocol === 'concatenation' ? 1 : work.atOnce, Math.round(work.files * scale))
  const shorter = (scale * work.files) / files
  const smallest = Math.min(work.fileSize, Math.max(4 * MiB, 2 * work.chunkSize))
  const fileSize = Math.max(smallest, Math.round((work.fileSize * shorter) / MiB) * MiB)
  if (!work.slow) return { ...work, files, fileSize }
  return { ...work, files, slow: { ...work.slow, uploads: Math.max(4, Math.round(work.slow.uploads * scale)) } }
}
