import type { Seeded } from '../../test/support/seeded.ts'
import { fileBytes } from './file-bytes.ts'

/** A request before it is framed: what it says, and the bytes it brings. */
export interface Draft {
  method: string
  path: string
  /** In order; a name may come twice. */
  headers: [name: string, value: string][]
  /** `null`: no body. */
  bytes: Buffer | null
  /** A field that comes after a chunked body. */
  trailer?: string
}

/** An upload that an answer has told of. */
export interface Known {
  id: string
  /** Whose token it was begun with. */
  owner: string
  size: number | null
  /** As far as answers told. */
  offset: number
  isPartial: boolean
  /** The token with which it can be gone on with, where the answer told it. */
  resumeToken: string | undefined
}

/** What a request is made from. */
export interface Making {
  chance: Seeded
  /** The tokens by who they speak for. */
  tokens: Record<string, string>
  known: Known[]
  /** The size of parts. */
  part: number
}

/** The number of bytes of a file: around the borders of parts, where it hurts. */
export function sizeOf({ chance, part }: Making): number {
  return chance.pick([0, 1, 5, 5, 40, part - 1, part, part + 1, 2 * part, 2 * part + 3, chance.int(0, 3 * part)])
}

/** Some upload; one that nobody began when there is none, and now and then anyway. */
export function upload({ chance, known }: Making): Known {
  const nobody = {
    id: '00000000-0000-4000-8000-000000000000',
    owner: 'ada',
    size: 5,
    offset: 0,
    isPartial: false,
    resumeToken: undefined,
  }
  return chance.chance(0.03) || known.length === 0 ? nobody : known[chance.int(0, known.length - 1)]!
}

/** Who asks: mostly the owner, now and then a stranger, one whose role may send nothing, or nobody at all. */
export function as({ chance, tokens }: Making, owner = chance.pick(['ada', 'ada', 'ada', 'sue'])): [string, string][] {
  const who = chance.chance(0.95) ? owner : chance.pick(['eve', 'ned', 'sue', 'old'])
  return chance.chance(0.99) ? [['authorization', `Bearer ${tokens[who] ?? ''}`]] : []
}

/** The owner of `one`, now and then by the token that is good for this upload alone; or whoever else `as` finds. */
export function asOwner(making: Making, { owner, resumeToken }: Known): [string, string][] {
  if (resumeToken !== undefined && making.chance.chance(0.15)) return [['authorization', `Bearer ${resumeToken}`]]
  return as(making, owner)
}

/** Bytes that may go on where `one` stands: all that is missing, some of it, or none. */
export function rest(making: Making, one: Known): Buffer {
  const { chance, part } = making
  const left = one.size === null ? sizeOf(making) : Math.max(0, one.size - one.offset)
  const count = chance.pick([left, left, Math.min(left, part), Math.min(left, chance.int(0, 50)), Math.floor(left / 2)])
  return fileBytes(chance, Math.min(count, 4 * part))
}
