import { signal, useSignalEffect } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { subscribeToEvents } from '../../../client/event-stream.ts'
import { server } from '../../upload/server.ts'
import { Problem } from '../problem.tsx'
import { useQuery } from '../query.ts'
import { admin, currentToken, isOfTenant } from '../session.ts'
import { Figures } from './figures.tsx'
import { LiveUploads } from './live-uploads.tsx'
import { Plots } from './plots.tsx'
import { createSpeeds } from './speeds.ts'

// Figures and lists are asked for every moment, and at once when something began or ended.
const everyMs = 2000

const isTold = signal(false)

/** What happens at the moment. */
export function Now() {
  const summary = useQuery(admin.summary, { everyMs })
  const live = useQuery(() => admin.uploads({ live: true, limit: 100 }), { everyMs })

  const speeds = useMemo(createSpeeds, [])
  const uploads = live.value?.uploads ?? []
  const now = Date.now()
  speeds.saw(uploads, now)
  const speed = uploads.reduce((sum, { id }) => sum + (speeds.of(id, now) ?? 0), 0)

  useSignalEffect(() => {
    let soon: ReturnType<typeof setTimeout> | undefined
    const end = subscribeToEvents({
      url: new URL('v1/events?all=true', server).href,
      token: currentToken,
      onConnection(isOpen) {
        isTold.value = isOpen
      },
      onEvent() {
        // Of many events at once one question comes.
        soon ??= setTimeout(() => {
          soon = undefined
          summary.refetch()
          live.refetch()
        }, 150)
      },
    })
    return () => {
      clearTimeout(soon)
      end()
    }
  })

  return (
    <>
      <Problem words={summary.error ?? live.error} />
      {summary.value && <Figures summary={summary.value} speed={speed} />}
      {/* What the servers do is about all tenants. */}
      {!isOfTenant() && <Plots />}
      <LiveUploads answer={live} speedOf={(id) => speeds.of(id, now)} isTold={isTold.value} />
    </>
  )
}
