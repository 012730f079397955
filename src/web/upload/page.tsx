import { Announcer } from './announcer.tsx'
import { DropZone } from './drop-zone.tsx'
import { Logo } from './icons.tsx'
import { IdentityBadge } from './identity.tsx'
import { MyUploads } from './my-uploads.tsx'
import { hasExpired, me, presence } from './session.ts'
import { SignIn } from './sign-in.tsx'
import { Transfers } from './transfers.tsx'

/** The whole page. */
export function Page() {
  const isOut = presence.value === 'out'
  return (
    <>
      <header class="bar">
        <a class="brand" href="/">
          <Logo />
          Landfall
        </a>
        <IdentityBadge />
      </header>
      <main>
        <h1 class="unseen">Send files</h1>
        {isOut && <SignIn />}
        {(!isOut || hasExpired.value) && <DropZone />}
        <Transfers />
        {(!isOut || hasExpired.value) && <MyUploads />}
      </main>
      <footer class="foot">
        <span>
          Files go by <a href="https://tus.io/protocols/resumable-upload">tus 1.0</a> to{' '}
          <code>{location.origin}/files</code>
        </span>
        <span>
          {me.value?.admin && <a href="/admin">Steering</a>} <a href="/docs">API</a>
        </span>
      </footer>
      <Announcer />
    </>
  )
}
