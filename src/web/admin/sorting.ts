export type SortValue = string | number | null

export interface Sorting {
  column: number
  isDescending: boolean
}

const collator = new Intl.Collator(undefined, { numeric: true })

/** `items` in the order of a column; what has no value comes last either way, and equal ones keep their order. */
export function sorted<T>(items: readonly T[], worth: (item: T) => SortValue, isDescending: boolean): T[] {
  const sign = isDescending ? -1 : 1
  return items.toSorted((a, b) => {
    const [one, other] = [worth(a), worth(b)]
    if (one === null || other === null) return Number(one === null) - Number(other === null)
    if (typeof one === 'number' && typeof other === 'number') return sign * (one - other)
    return sign * collator.compare(String(one), String(other))
  })
}
