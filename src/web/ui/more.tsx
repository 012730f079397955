/** The button that loads the next page of a list; nothing on the last page. */
export function More({ has, show, label = 'Show older' }: { has: boolean; show: () => void; label?: string }) {
  if (!has) return null
  return (
    <button type="button" class="button is-quiet more" onClick={show}>
      {label}
    </button>
  )
}
