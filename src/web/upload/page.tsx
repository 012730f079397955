import { Announcer } from '../ui/announcer.tsx'
import { Logo } from '../ui/icons.tsx'
import { DropZone } from './drop-zone.tsx'
import { IdentityBadge } from './identity.tsx'
import { hasExpired, me, signInState } from './session.ts'
import { SignIn } from './sign-in.tsx'
import { endpoint } from './upload-queue.ts'
import { UploadsList } from './uploads-list.tsx'

/** The upload page. */
export function Page() {
  const isSignedOut = signInState.value === 'signed-out'
  return (
    <>
      <header class="bar">
        <a class="brand" href="./">
          <Logo />
          Landfall
        </a>
        <IdentityBadge />
      </header>
      <main>
        <h1 class="visually-hidden">Upload files</h1>
        {isSignedOut && <SignIn />}
        {(!isSignedOut || hasExpired.value) && (
          <>
            <DropZone />
            <UploadsList />
          </>
        )}
      </main>
      <footer class="foot">
        <span>
          <a href="https://tus.io/protocols/resumable-upload">tus 1.0</a> endpoint: <code>{endpoint}</code>
        </span>
        <span class="foot-links">
          {me.value?.admin && <a href="admin">Admin</a>} <a href="docs">API</a>
        </span>
      </footer>
      <Announcer />
    </>
  )
}
