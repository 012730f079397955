import '../styles/index.css'
import { render } from 'preact'
import { watchBrowser } from './browser-lifecycle.ts'
import { Page } from './page.tsx'
import { restoreToken, signInByLink } from './session.ts'

render(<Page />, document.getElementById('page')!)
watchBrowser()
void restoreToken()
addEventListener('hashchange', () => void signInByLink())
