import { percent } from './format.ts'

interface ProgressBarProps {
  label: string
  /** Bytes that the server has confirmed: the bar says no more. */
  confirmed: number
  /** Bytes that are on their way besides; drawn faintly, and not told as progress. */
  sent?: number
  size: number
}

/** How much of a file, or of some, is safe on the server. */
export function ProgressBar({ label, confirmed, sent = 0, size }: ProgressBarProps) {
  const onTheWay = size === 0 ? 0 : Math.min(100, (Math.max(sent, confirmed) / size) * 100)
  return (
    <span class="progress">
      <span class="progress-sent" style={{ width: `${onTheWay.toFixed(2)}%` }} />
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
