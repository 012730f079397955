import type { Seeded } from '../../test/support/seeded.ts'
import { fileBytes } from './file-bytes.ts'

/** A request before it is framed. */
export interface RequestSpec {
  method: string
  path: string
  /** In order; a name may occur twice. */
  headers: [name: string, value: string][]
  /** `null`: no body. */
  bytes: Buffer | null
  /** A trailer field after a chunked body. */
  trailer?: string
}

/** An upload whose id is known from an answer. */
export interface KnownUpload {
  id: string
  /** The user whose token created it. */
  owner: string
  size: number | null
  /** The last offset that was answered. */
  offset: number
  isPartial: boolean
  /** Its resume token, if the answer had one. */
  resumeToken: string | undefined
}

/** What requests are made from. */
export interface Context {
  random: Seeded
  /** Tokens by user. */
  tokens: Record<string, string>
  known: KnownUpload[]
  /** The size of parts. */
  part: number
}

/** The size of a file in bytes: often at or next to a part boundary. */
export function sizeOf({ random, part }: Context): number {
  return random.pick([0, 1, 5, 5, 40, part - 1, part, part + 1, 2 * part, 2 * part + 3, random.int(0, 3 * part)])
}

/** A known upload; sometimes, and where none is known, the id of one that does not exist. */
export function pickUpload({ random, known }: Context): KnownUpload {
  const unknown = {
    id: '00000000-0000-4000-8000-000000000000',
    owner: 'ada',
    size: 5,
    offset: 0,
    isPartial: false,
    resumeToken: undefined,
  }
  return random.chance(0.03) || known.length === 0 ? unknown : known[random.int(0, known.length - 1)]!
}

/** The authorization of a request: mostly the owner, sometimes another user, one whose role may not upload, or none. */
export function authorization(
  { random, tokens }: Context,
  owner = random.pick(['ada', 'ada', 'ada', 'sue']),
): [string, string][] {
  const user = random.chance(0.95) ? owner : random.pick(['eve', 'ned', 'sue', 'old'])
  return random.chance(0.99) ? [['authorization', `Bearer ${tokens[user] ?? ''}`]] : []
}

/** The authorization of a request about a known upload: as `authorization` for its owner, sometimes its resume token. */
export function ownerHeaders(context: Context, { owner, resumeToken }: KnownUpload): [string, string][] {
  if (resumeToken !== undefined && context.random.chance(0.15)) return [['authorization', `Bearer ${resumeToken}`]]
  return authorization(context, owner)
}

/** Bytes to append to a known upload: all that are missing, some of them, or none. */
export function rest(context: Context, upload: KnownUpload): Buffer {
  const { random, part } = context
  const left = upload.size === null ? sizeOf(context) : Math.max(0, upload.size - upload.offset)
  const count = random.pick([left, left, Math.min(left, part), Math.min(left, random.int(0, 50)), Math.floor(left / 2)])
  return fileBytes(random, Math.min(count, 4 * part))
}
