import { z } from 'zod'
import { defaultKeyTemplate, templateError } from '../../core/object-key.ts'
import { storeNames } from '../../stores/index.ts'
import { choice, count, duration, size, wait } from '../values.ts'

const second = 1000

/** Files: where and how they are stored, and how long requests and uploads may take. */
export const uploads = {
  STORE: choice(...storeNames)
    .default('local')
    .describe('Where files are stored'),
  CONTENT_CHECK: z
    .stringbool()
    .prefault('true')
    .describe(
      'Whether the server detects the type of a file from its first bytes, before it stores any; otherwise it trusts the client',
    ),
  KEY_TEMPLATE: z
    .string()
    .default(defaultKeyTemplate)
    .superRefine((template, context) => {
      const problem = templateError(template)
      if (problem) context.addIssue(problem)
    })
    .describe('The template of object keys'),
  PART_SIZE: size
    .prefault('8MiB')
    .describe('The size of the parts of a multipart upload; larger where a file would need too many parts'),
  CHUNK_SIZE: size
    .prefault('150MiB')
    .describe(
      'The chunk size that the server gives to clients of /api/upload and /v1/uploads/init, within the part sizes of the store; a policy may set another one. A proxy must accept bodies of this size',
    ),
  PARTS_IN_FLIGHT: count(1, 64)
    .default(8)
    .describe('How many parts of one upload are sent to the store at once; at most two on a local disk'),
  MEMORY_BUDGET: size
    .optional()
    .describe(
      'The most memory for bytes on their way to the store. Default: a quarter of the memory of the machine, at most 224MiB for each of WORKERS',
    ),
  BODY_IDLE_TIMEOUT: duration
    .prefault('30s')
    .describe('How long a request may send no bytes before it is ended; bytes received are kept'),
  MIN_SPEED: size
    .prefault('1KiB')
    .describe(
      'The fewest bytes per second: a request that is slower for half a minute is ended; bytes received are kept. 0 for no limit',
    ),
  BODY_TIMEOUT: duration
    .prefault('0s')
    .describe('How long a request may take before it is ended; bytes received are kept. 0s for no limit'),
  FINISH_WAIT: wait()
    .prefault('25s')
    .describe(
      'How long a response waits for the store to complete a file before it asks the client to retry; keep it below the response timeout of a proxy',
    ),
  LOSS_CONFIRM: duration
    .prefault('5m')
    .describe(
      'How long the store must report that bytes of an upload are missing before the upload fails as lost; until then clients are asked to retry',
    ),
  DELETE_GRACE: duration
    .prefault('7d')
    .describe('How long the object of a deleted file stays in the store; 0s to delete it at once'),
  LEASE_TTL: wait(second).prefault('30s').describe('How long the lease of an upload outlives a server that died'),
  LOCK_WAIT: wait()
    .prefault('10s')
    .describe('How long a request waits for another one to release the lock of the same upload'),
}
