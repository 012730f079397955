import type { Figures } from './measure.ts'
import type { ContestantKind } from './plan.ts'
import type { Result } from './print.ts'

const names: Record<ContestantKind, string> = {
  ours: 'Landfall',
  workers: 'Landfall, two workers',
  peer: '@tus/server with its store',
  bound: 'bytes piped through Node',
  before: 'before',
}
const panels: { title: string; field: 'mbPerSecond' | 'cpuPerGiB'; digits: number }[] = [
  { title: 'MB/s, more is better (bars by square root)', field: 'mbPerSecond', digits: 0 },
  { title: 'CPU s/GiB, less is better (bars by square root)', field: 'cpuPerGiB', digits: 1 },
]
const width = 1240
const labelWidth = 340
const panelWidth = (width - labelWidth - 60) / panels.length
const barHeight = 13
const rowGap = 12
const top = 84

/** An SVG of the medians: a row for each case, a bar for each server, in the reader's colour scheme. */
export function plotOf(results: Result[]): string {
  const shown = results.filter(({ medians }) => Object.values(medians).some((figures) => figures.mbPerSecond))
  const kinds = [...new Set(shown.flatMap(({ medians }) => Object.keys(medians) as ContestantKind[]))]
  const rowHeight = kinds.length * barHeight + rowGap
  const height = top + shown.length * rowHeight + 16
  const legend = kinds.map(
    (kind, index) =>
      `<rect class="${kind}" x="${16 + index * 220}" y="16" width="14" height="14" rx="2"/><text x="${36 + index * 220}" y="28">${names[kind]}</text>`,
  )
  const rows = shown.map(({ what }, row) => {
    const y = top + row * rowHeight
    return `<text class="label" x="${labelWidth}" y="${y + (kinds.length * barHeight) / 2 + 4}">${what}</text>`
  })
  const bars = panels.flatMap(({ title, field, digits }, panel) => {
    const x = labelWidth + 14 + panel * (panelWidth + 20)
    const scale = scaleOf(
      shown.flatMap(({ medians }) => Object.values(medians).flatMap((f: Figures) => f[field] ?? [])),
    )
    return [
      `<text class="title" x="${x}" y="62">${title}</text>`,
      ...shown.flatMap(({ medians }, row) =>
        kinds.flatMap((kind, index) => {
          const value = medians[kind]?.[field]
          if (value === undefined) return []
          const y = top + row * rowHeight + index * barHeight
          const length = scale(value) * (panelWidth - 60)
          return `<rect class="${kind}" x="${x}" y="${y}" width="${length.toFixed(1)}" height="${barHeight - 2}" rx="2"/><text class="value" x="${(x + length + 5).toFixed(1)}" y="${y + 10}">${value.toFixed(digits)}</text>`
        }),
      ),
    ]
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Throughput and CPU by case">
<style>
  svg { background: #fff; font: 12px system-ui, sans-serif; }
  text { fill: #1b1f24; }
  .label { text-anchor: end; }
  .title { font-weight: 600; }
  .value { font-size: 10px; fill: #57606a; }
  .ours { fill: #0b7285; } .peer { fill: #e8590c; } .bound { fill: #adb5bd; } .before { fill: #868e96; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; }
    text { fill: #e6edf3; }
    .value { fill: #9da7b1; }
    .ours { fill: #3bc9db; } .peer { fill: #ff922b; } .bound { fill: #5c636a; } .before { fill: #868e96; }
  }
</style>
${[...legend, ...rows, ...bars].join('\n')}
</svg>
`
}

/** Scales bars by square root: small values stay visible beside large ones. */
function scaleOf(values: number[]): (value: number) => number {
  const largest = Math.max(...values, 1e-9)
  return (value) => Math.sqrt(value / largest)
}
