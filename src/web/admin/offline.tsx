import { signal } from '@preact/signals'
import { Cloud } from '../upload/icons.tsx'

const isOffline = signal(!navigator.onLine)
addEventListener('online', () => {
  isOffline.value = false
})
addEventListener('offline', () => {
  isOffline.value = true
})

/** Says that there is no network, as long as there is none. */
export function Offline() {
  if (!isOffline.value) return null
  return (
    <p class="notice is-warn" role="status">
      <Cloud /> No network. The figures are from before; the page continues by itself.
    </p>
  )
}
