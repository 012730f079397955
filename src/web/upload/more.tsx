/** The way to the next page of a list; nothing when the last one is there. */
export function More({ has, show, words = 'Show older' }: { has: boolean; show: () => void; words?: string }) {
  if (!has) return null
  return (
    <button type="button" class="button is-quiet more" onClick={show}>
      {words}
    </button>
  )
}
