import { signal } from '@preact/signals'
import { Cloud } from '../ui/icons.tsx'

const isOffline = signal(!navigator.onLine)
addEventListener('online', () => {
  isOffline.value = false
})
addEventListener('offline', () => {
  isOffline.value = true
})

/** A notice while the browser is offline. */
export function Offline() {
  if (!isOffline.value) return null
  return (
    <p class="notice is-warn" role="status">
      <Cloud /> No network. The page shows the last known data and updates automatically when the network is back.
    </p>
  )
}
