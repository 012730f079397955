/** What went wrong, where it went wrong. Nothing when nothing did. */
export function Problem({ words, again }: { words: string | null; again?: () => void }) {
  if (words === null) return null
  return (
    <div class="notice is-bad" role="alert">
      <span>{words}</span>
      {again && (
        <button type="button" class="button is-quiet" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}
