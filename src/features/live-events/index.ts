import type { Feature, FeatureDeps } from '../feature.ts'
import { openFeed } from './feed.ts'
import { eventsPlugin } from './plugin.ts'

/** Streams the events of uploads to clients as they happen. */
export function createLiveEvents({ database, authorize, onError }: FeatureDeps): Feature {
  const feed = openFeed({ database, onError })
  return {
    routes: (scope) => eventsPlugin(scope, { feed, authorizer: authorize }),
    gauges: {
      landfall_event_streams: { help: 'Open connections to the event stream', value: () => feed.subscribers() },
    },
    close: async () => feed.close(),
  }
}
