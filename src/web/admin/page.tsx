import { useEffect, useRef } from 'preact/hooks'
import { Announcer } from '../upload/announcer.tsx'
import { Logo } from '../upload/icons.tsx'
import { visible } from '../upload/visible.ts'
import { Audit } from './audit.tsx'
import { Door } from './door.tsx'
import { Explain } from './explain.tsx'
import { AuditMark, ExplainMark, KeysMark, NowMark, PoliciesMark, QuotaMark, UploadsMark } from './icons.tsx'
import { Keys } from './keys.tsx'
import { Now } from './now/now.tsx'
import { Offline } from './offline.tsx'
import { hrefOf, place, type Room } from './place.ts'
import { Policies } from './policies/policies.tsx'
import { Quota } from './quota.tsx'
import { isOfTenant, leave, me, presence } from './session.ts'
import { Uploads } from './uploads/uploads.tsx'

const views = {
  now: { title: 'Overview', Mark: NowMark, View: Now },
  uploads: { title: 'Uploads', Mark: UploadsMark, View: Uploads },
  policies: { title: 'Policies', Mark: PoliciesMark, View: Policies },
  quota: { title: 'Usage', Mark: QuotaMark, View: Quota },
  keys: { title: 'API keys', Mark: KeysMark, View: Keys },
  audit: { title: 'Audit log', Mark: AuditMark, View: Audit },
  explain: { title: 'Explain', Mark: ExplainMark, View: Explain },
} satisfies Record<Room, unknown>

/** The whole page: the rooms of an operator, or the door to them. */
export function Page() {
  const isIn = presence.value === 'in'
  return (
    <>
      <header class="bar is-wide">
        <a class="brand" href="admin">
          <Logo />
          Landfall <span class="brand-room">Admin</span>
        </a>
        {isIn && me.value && (
          <p class="operator">
            <bdi class="badge-user" title={visible(me.value.user)}>
              {visible(me.value.user)}
            </bdi>
            <button type="button" class="button is-quiet" onClick={leave}>
              Sign out
            </button>
          </p>
        )}
      </header>
      <div class={`frame ${isIn ? '' : 'is-door'}`}>
        {isIn && <Rooms />}
        <main class="room">
          <Offline />
          {presence.value === 'entering' && <p class="quiet">Loading …</p>}
          {presence.value === 'out' && <Door />}
          {isIn && <OpenRoom />}
        </main>
      </div>
      <Announcer />
    </>
  )
}

/** What is about all tenants is not for the admin of one: the server answers 403. */
const forAllTenants: Room[] = ['policies']

function Rooms() {
  const open = Object.entries(views).filter(([room]) => !isOfTenant() || !forAllTenants.includes(room as Room))
  return (
    <nav class="rooms" aria-label="Sections">
      {open.map(([room, { title, Mark }]) => (
        <a
          key={room}
          href={hrefOf(room as Room)}
          class="rooms-link"
          aria-current={place.value.room === room ? 'page' : undefined}
        >
          <Mark />
          {title}
        </a>
      ))}
    </nav>
  )
}

function OpenRoom() {
  const { room, id } = place.value
  const { title, View } = views[room]
  const heading = useRef<HTMLHeadingElement>(null)
  const isFirst = useRef(true)
  // Who follows a link with the keyboard goes on where it leads. The first room is not followed to.
  useEffect(() => {
    document.title = `${title} · Landfall Admin`
    if (isFirst.current) isFirst.current = false
    else heading.current?.focus()
    document.querySelector('.rooms [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [room, id])
  return (
    <>
      <h1 ref={heading} tabIndex={-1} class={id === null ? 'title' : 'unseen'}>
        {title}
      </h1>
      {isOfTenant() && forAllTenants.includes(room) ? (
        <p class="quiet">
          {title} hold for all tenants: only an administrator without a tenant may see and change them. You administer
          the tenant <bdi>{visible(me.value?.tenant ?? '')}</bdi>.
        </p>
      ) : (
        <View key={`${room}/${id ?? ''}`} />
      )}
    </>
  )
}
