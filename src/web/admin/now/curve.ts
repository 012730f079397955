/** The path of `values` from left to right, where `ceiling` is the top of a field of `width` by `height`. */
export function pathOf(values: number[], ceiling: number, width: number, height: number): string {
  const last = Math.max(1, values.length - 1)
  const points = values.map((value, index) => {
    const x = (index / last) * width
    const y = height - (value / ceiling) * height
    return `${round(x)} ${round(y)}`
  })
  return `M${points.join('L')}`
}

/** The end of a scale that has room for `most`: a one, two or five with zeros, and of large numbers the same of a power of 1024. */
export function ceilingOf(most: number): number {
  const unit = most < 1024 ? 1 : 1024 ** Math.floor(Math.log2(most) / 10)
  const value = most / unit
  const ten = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 5, 10].find((step) => step * ten >= value) ?? 10
  return step * ten * unit
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
