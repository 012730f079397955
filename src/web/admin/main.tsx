import '../styles/index.css'
import '../styles/admin/index.css'
import { render } from 'preact'
import { Page } from './page.tsx'
import { restoreToken } from './session.ts'

render(<Page />, document.getElementById('page')!)
void restoreToken()
