/** An error message with an optional retry button; nothing without a message. */
export function Problem({ message, retry }: { message: string | null; retry?: () => void }) {
  if (message === null) return null
  return (
    <div class="notice is-bad" role="alert">
      <span>{message}</span>
      {retry && (
        <button type="button" class="button is-quiet" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  )
}
