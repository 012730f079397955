import { percent } from '../ui/format.ts'

interface ProgressBarProps {
  label: string
  /** Bytes that the server has confirmed: the value of the bar. */
  confirmed: number
  /** Bytes that were sent; drawn faintly and not exposed as progress. */
  sent?: number
  size: number
}

/** How much of a file, or of several, the server has confirmed. */
export function ProgressBar({ label, confirmed, sent = 0, size }: ProgressBarProps) {
  const sentPercent = size === 0 ? 0 : Math.min(100, (Math.max(sent, confirmed) / size) * 100)
  return (
    <span class="progress">
      <span class="progress-sent" style={{ width: `${sentPercent.toFixed(2)}%` }} />
      <progress
        class="line"
        value={confirmed}
        max={Math.max(size, 1)}
        aria-label={label}
        aria-valuetext={`${percent(confirmed, size)} percent`}
      />
    </span>
  )
}
