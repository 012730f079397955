import { expectTypeOf, it } from 'vitest'
import { webhookEvents } from '../../../src/contract/webhooks.ts'
import type { EventType } from '../../../src/core/events.ts'

it('an endpoint can ask for every event there is, and for no other', () => {
  expectTypeOf(webhookEvents[0]).not.toBeAny()
  expectTypeOf<(typeof webhookEvents)[number]>().toEqualTypeOf<EventType>()
})
