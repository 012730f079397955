import { parseArgs } from 'node:util'
import { type Case, cases } from './cases.ts'

export const contestantKinds = ['ours', 'workers', 'peer', 'bound', 'before'] as const
export type ContestantKind = (typeof contestantKinds)[number]

/** The settings of a run. */
export interface Plan {
  cases: Case[]
  contestants: ContestantKind[]
  rounds: number
  /** Multiplies the number and size of files. */
  scale: number
  /** The entry of another build of Landfall, measured beside this one. */
  before: string | null
  /** The Node that runs the servers. */
  node: string | undefined
  /** The endpoint of a real S3 server instead of the sink; credentials and bucket are TEST_S3_*. */
  s3: string | undefined
  json: string | undefined
  svg: string | undefined
  /** A folder for a CPU profile of every server process. */
  profile: string | undefined
}

/** Reads the settings from the command line. @throws Error for unknown cases and servers */
export function readPlan(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      cases: { type: 'string' },
      servers: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      scale: { type: 'string', default: '1' },
      before: { type: 'string' },
      node: { type: 'string' },
      s3: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
      profile: { type: 'string' },
    },
  })
  const names = values.cases?.split(',') ?? cases.filter(({ isLong }) => !isLong).map(({ name }) => name)
  const usual = values.before === undefined ? 'ours,peer,bound' : 'ours,before'
  const contestants = (values.servers ?? usual).split(',')
  const unknown = contestants.find((kind) => !contestantKinds.some((known) => known === kind))
  if (unknown !== undefined) throw new Error(`--servers takes ${contestantKinds.join(', ')}, not ${unknown}`)
  return {
    cases: names.map((name) => {
      const found = cases.find((known) => known.name === name)
      if (!found) throw new Error(`there is no case ${name}; there are ${cases.map((known) => known.name).join(', ')}`)
      return found
    }),
    contestants: contestants as ContestantKind[],
    rounds: Number(values.rounds),
    scale: Number(values.scale),
    before: values.before ?? null,
    node: values.node,
    s3: values.s3,
    json: values.json,
    svg: values.svg,
    profile: values.profile,
  }
}
