import type { Case } from './cases.ts'
import type { Figures } from './measure.ts'
import type { ContestantKind } from './plan.ts'

/** The medians of one case, by server. */
export interface Result {
  name: string
  what: string
  medians: Partial<Record<ContestantKind, Figures>>
  rounds: Partial<Record<ContestantKind, Figures[]>>
}

const columns: [title: string, field: Exclude<keyof Figures, 'requests' | 'failures'>, digits: number][] = [
  ['MB/s', 'mbPerSecond', 0],
  ['files/s', 'filesPerSecond', 1],
  ['CPU s/GiB', 'cpuPerGiB', 2],
  ['CPU ms/file', 'cpuPerFileMs', 2],
  ['RSS MB', 'peakRssMb', 0],
  ['loop p99', 'loopP99Ms', 1],
  ['p50 ms', 'p50Ms', 1],
  ['p95 ms', 'p95Ms', 1],
  ['disk MB', 'diskMb', 0],
  ['S3 MB', 's3Mb', 0],
  ['start ms', 'startMs', 0],
  ['slowest ms', 'slowestMs', 0],
  ['failed', 'failed', 0],
]

/** The median of every figure over the rounds. */
export function medianOf(rounds: Figures[]): Figures {
  const median: Figures = {}
  for (const [, field] of columns) {
    const values = rounds.flatMap((round) => round[field] ?? []).sort((a, b) => a - b)
    if (values.length > 0) median[field] = middle(values)
  }
  const requests = rounds.at(-1)?.requests
  return requests ? { ...median, requests } : median
}

/** The table of a case, and the ratios of Landfall to each other server. */
export function tableOf({ name, what }: Case, { medians }: Result): string {
  const kinds = Object.keys(medians) as ContestantKind[]
  const shown = columns.filter(([, field]) => kinds.some((kind) => medians[kind]![field] !== undefined))
  const rows = kinds.map((kind) => [
    kind,
    ...shown.map(([, field, digits]) => medians[kind]![field]?.toFixed(digits) ?? '-'),
    requestsOf(medians[kind]!),
  ])
  const lines = [['', ...shown.map(([title]) => title), 'S3 requests'], ...rows]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const text = lines.map(
    (line) =>
      `  ${line
        .map((cell, column) => cell.padStart(widths[column]!))
        .join('  ')
        .trimEnd()}`,
  )
  return [`${name}: ${what}`, ...text, ...ratiosOf(medians)].join('\n')
}

function ratiosOf(medians: Result['medians']): string[] {
  const { ours, ...others } = medians
  if (!ours) return []
  return Object.entries(others).map(([kind, other]) => {
    const ratio = (field: Exclude<keyof Figures, 'requests' | 'failures'>, isBetterWhenLess: boolean) => {
      const [own, theirs] = [ours[field], other[field]]
      if (!own || !theirs) return []
      return [
        `${columns.find((column) => column[1] === field)![0]} ×${(isBetterWhenLess ? theirs / own : own / theirs).toFixed(2)}`,
      ]
    }
    const ratios = [
      ...ratio('mbPerSecond', false),
      ...ratio('cpuPerGiB', true),
      ...ratio('p50Ms', true),
      ...ratio('p95Ms', true),
      ...ratio('startMs', true),
    ]
    return `  against ${kind}, more is better: ${ratios.join(', ')}`
  })
}

function requestsOf({ requests = {} }: Figures): string {
  return Object.entries(requests)
    .map(([operation, count]) => `${operation} ${count}`)
    .join(', ')
}

function middle(sorted: number[]): number {
  const half = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2
}
