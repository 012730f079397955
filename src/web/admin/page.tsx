import { useEffect, useRef } from 'preact/hooks'
import { Announcer } from '../ui/announcer.tsx'
import { Logo } from '../ui/icons.tsx'
import { visible } from '../ui/visible.ts'
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

/** The admin page: its sections, or the sign-in form. */
export function Page() {
  const isSignedIn = signInState.value === 'signed-in'
  return (
    <>
      <header class="bar is-wide">
        <a class="brand" href="admin">
          <Logo />
          Landfall <span class="brand-admin">Admin</span>
        </a>
        {isSignedIn && me.value && (
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
      <div class={`frame ${isSignedIn ? '' : 'is-signed-out'}`}>
        {isSignedIn && <SectionTabs />}
        <main class="section">
          <Offline />
          {signInState.value === 'loading' && <p class="quiet">Loading …</p>}
          {signInState.value === 'signed-out' && <SignIn />}
          {isSignedIn && <CurrentSection />}
        </main>
      </div>
      <Announcer />
    </>
  )
}

/** Sections about all tenants: the server refuses them to the admin of a single tenant with 403. */
const forAllTenants: Section[] = ['policies']

function SectionTabs() {
  const open = Object.entries(views).filter(([section]) => !isOfTenant() || !forAllTenants.includes(section as Section))
  return (
    <nav class="sections" aria-label="Sections">
      {open.map(([section, { title, Mark }]) => (
        <a
          key={section}
          href={hrefOf(section as Section)}
          class="sections-link"
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
  // After a link the focus moves to the heading of the section, for users of the keyboard. Not for the first section, which no link has opened.
  useEffect(() => {
    document.title = `${title} · Landfall Admin`
    if (isFirst.current) isFirst.current = false
    else heading.current?.focus()
    document.querySelector('.sections [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [section, id])
  return (
    <>
      <h1 ref={heading} tabIndex={-1} class={id === null ? 'title' : 'visually-hidden'}>
        {title}
      </h1>
      {isOfTenant() && forAllTenants.includes(section) ? (
        <p class="quiet">
          {title} apply to all tenants: only an admin without a tenant may see and change them. You are an admin of the
          tenant <bdi>{visible(me.value?.tenant ?? '')}</bdi>.
        </p>
      ) : (
        <View key={`${section}/${id ?? ''}`} />
      )}
    </>
  )
}
