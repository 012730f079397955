import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'

export type StoreKind = 'local' | 's3' | 'ceph'

/** The settings of a run. Rounds follow each other until there were this many kills and uploads. */
export interface Plan {
  seed: string
  store: StoreKind
  kills: number
  uploads: number
  /** Servers with one database and one bucket. The local store allows one: its directory belongs to one process. */
  nodes: number
  /** Uploads of one round. */
  perRound: number
  /** Milliseconds from a start of a server to its next kill, on average. */
  life: number
  /** Runs only this round, to repeat it. */
  round: number | null
  /** Starts no round after this many minutes. */
  minutes: number
}

/** Reads the settings from the command line. */
export function readPlan(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string' },
      store: { type: 'string', default: 's3' },
      kills: { type: 'string', default: '1000' },
      uploads: { type: 'string', default: '500' },
      nodes: { type: 'string' },
      'per-round': { type: 'string', default: '25' },
      life: { type: 'string', default: '1000' },
      round: { type: 'string' },
      minutes: { type: 'string', default: '600' },
    },
  })
  const store = values.store as StoreKind
  if (!['local', 's3', 'ceph'].includes(store)) throw new Error(`--store is local, s3 or ceph, not ${store}`)
  return {
    seed: values.seed ?? randomBytes(4).toString('hex'),
    store,
    kills: Number(values.kills),
    uploads: Number(values.uploads),
    nodes: store === 'local' ? 1 : Number(values.nodes ?? 3),
    perRound: Number(values['per-round']),
    life: Number(values.life),
    round: values.round === undefined ? null : Number(values.round),
    minutes: Number(values.minutes),
  }
}
