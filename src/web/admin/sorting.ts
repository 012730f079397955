export type SortValue = string | number | null

export interface Sorting {
  column: number
  isDescending: boolean
}

const collator = new Intl.Collator(undefined, { numeric: true })

/** Sorts `items` by a column. Items without a value come last in both directions; equal items keep their order. */
export function sorted<T>(items: readonly T[], columnValue: (item: T) => SortValue, isDescending: boolean): T[] {
  const sign = isDescending ? -1 : 1
  return items.toSorted((a, b) => {
    const [one, other] = [columnValue(a), columnValue(b)]
    if (one === null || other === null) return Number(one === null) - Number(other === null)
    if (typeof one === 'number' && typeof other === 'number') return sign * (one - other)
    return sign * collator.compare(String(one), String(other))
  })
}
