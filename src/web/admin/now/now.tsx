import { signal, useSignalEffect } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { subscribeToEvents } from '../../../client/event-stream.ts'
import { server } from '../../ui/server.ts'
import { Problem } from '../problem.tsx'
import { useQuery } from '../query.ts'
import { admin, currentToken, isOfTenant } from '../session.ts'
import { Figures } from './figures.tsx'
import { LiveUploads } from './live-uploads.tsx'
import { Plots } from './plots.tsx'
import { createSpeeds } from './speeds.ts'

// Figures and lists are polled, and refreshed at once after an event.
const everyMs = 2000

const isConnected = signal(false)

/** The overview: current figures, activity and running uploads. */
export function Now() {
  const summary = useQuery(admin.summary, { everyMs })
  const live = useQuery(() => admin.uploads({ live: true, limit: 100 }), { everyMs })

  const speeds = useMemo(createSpeeds, [])
  const uploads = live.value?.uploads ?? []
  const now = Date.now()
  speeds.record(uploads, now)
  const speed = uploads.reduce((sum, { id }) => sum + (speeds.of(id, now) ?? 0), 0)

  useSignalEffect(() => {
    let refreshTimer: ReturnType<typeof setTimeout> | undefined
    const unsubscribe = subscribeToEvents({
      url: new URL('v1/events?all=true', server).href,
      token: currentToken,
      onConnection(isOpen) {
        isConnected.value = isOpen
      },
      onEvent() {
        // One refresh for many events at once.
        refreshTimer ??= setTimeout(() => {
          refreshTimer = undefined
          summary.refetch()
          live.refetch()
        }, 150)
      },
    })
    return () => {
      clearTimeout(refreshTimer)
      unsubscribe()
    }
  })

  return (
    <>
      <Problem message={summary.error ?? live.error} />
      {summary.value && <Figures summary={summary.value} speed={speed} />}
      {/* The activity covers all tenants. */}
      {!isOfTenant() && <Plots />}
      <LiveUploads query={live} speedOf={(id) => speeds.of(id, now)} isConnected={isConnected.value} />
    </>
  )
}
