import { useEffect, useRef } from 'preact/hooks'
import { Announcer } from '../upload/announcer.tsx'
import { Logo } from '../upload/icons.tsx'
import { visible } from '../upload/visible.ts'
import { Audit } from './audit.tsx'
import { Explain } from './explain.tsx'
import { AuditMark, ExplainMark, KeysMark, NowMark, PoliciesMark, QuotaMark, UploadsMark } from './icons.tsx'
import { Keys } from './keys.tsx'
import { Now } from './now/now.tsx'
import { Offline } from './offline.tsx'
import { Policies } from './policies/policies.tsx'
import { Quota } from './quota.tsx'
import { hrefOf, route, type Section } from './route.ts'
import { isOfTenant, me, signInState, signOut } from './session.ts'
import { SignIn } from './sign-in.tsx'
import { Uploads } from './uploads/uploads.tsx'

const views = {
  now: { title: 'Overview', Mark: NowMark, View: Now },
  uploads: { title: 'Uploads', Mark: UploadsMark, View: Uploads },
  policies: { title: 'Policies', Mark: PoliciesMark, View: Policies },
  quota: { title: 'Usage', Mark: QuotaMark, View: Quota },
  keys: { title: 'API keys', Mark: KeysMark, View: Keys },
  audit: { title: 'Audit log', Mark: AuditMark, View: Audit },
  explain: { title: 'Explain', Mark: ExplainMark, View: Explain },
} satisfies Record<Section, unknown>

/** The whole page: the rooms of an operator, or the door to them. */
export function Page() {
  const isIn = signInState.value === 'in'
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
            <button type="button" class="button is-quiet" onClick={signOut}>
              Sign out
            </button>
          </p>
        )}
      </header>
      <div class={`frame ${isIn ? '' : 'is-door'}`}>
        {isIn && <SectionTabs />}
        <main class="room">
          <Offline />
          {signInState.value === 'entering' && <p class="quiet">Loading …</p>}
          {signInState.value === 'out' && <SignIn />}
          {isIn && <CurrentSection />}
        </main>
      </div>
      <Announcer />
    </>
  )
}

/** What is about all tenants is not for the admin of one: the server answers 403. */
const forAllTenants: Section[] = ['policies']

function SectionTabs() {
  const open = Object.entries(views).filter(([section]) => !isOfTenant() || !forAllTenants.includes(section as Section))
  return (
    <nav class="rooms" aria-label="Sections">
      {open.map(([section, { title, Mark }]) => (
        <a
          key={section}
          href={hrefOf(section as Section)}
          class="rooms-link"
          aria-current={route.value.section === section ? 'page' : undefined}
        >
          <Mark />
          {title}
        </a>
      ))}
    </nav>
  )
}

function CurrentSection() {
  const { section, id } = route.value
  const { title, View } = views[section]
  const heading = useRef<HTMLHeadingElement>(null)
  const isFirst = useRef(true)
  // Who follows a link with the keyboard goes on where it leads. The first room is not followed to.
  useEffect(() => {
    document.title = `${title} · Landfall Admin`
    if (isFirst.current) isFirst.current = false
    else heading.current?.focus()
    document.querySelector('.rooms [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [section, id])
  return (
    <>
      <h1 ref={heading} tabIndex={-1} class={id === null ? 'title' : 'unseen'}>
        {title}
      </h1>
      {isOfTenant() && forAllTenants.includes(section) ? (
        <p class="quiet">
          {title} hold for all tenants: only an administrator without a tenant may see and change them. You administer
          the tenant <bdi>{visible(me.value?.tenant ?? '')}</bdi>.
        </p>
      ) : (
        <View key={`${section}/${id ?? ''}`} />
      )}
    </>
  )
}
