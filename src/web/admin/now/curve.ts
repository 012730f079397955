/** The SVG path of `values` from left to right in `width` by `height`, where `ceiling` is the value at the top. */
export function pathOf(values: number[], ceiling: number, width: number, height: number): string {
  const last = Math.max(1, values.length - 1)
  const points = values.map((value, index) => {
    const x = (index / last) * width
    const y = height - (value / ceiling) * height
    return `${round(x)} ${round(y)}`
  })
  return `M${points.join('L')}`
}

/** The top of a scale for values up to `max`: 1, 2 or 5 times a power of ten, for large values in units of a power of 1024. */
export function ceilingOf(max: number): number {
  const unit = max < 1024 ? 1 : 1024 ** Math.floor(Math.log2(max) / 10)
  const value = max / unit
  const ten = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 5, 10].find((step) => step * ten >= value) ?? 10
  return step * ten * unit
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
