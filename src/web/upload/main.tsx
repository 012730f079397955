import '../styles/tokens.css'
import '../styles/base.css'
import '../styles/page.css'
import '../styles/transfers.css'
import '../styles/my-uploads.css'
import '../styles/identity.css'
import { render } from 'preact'
import { Page } from './page.tsx'
import { enter } from './session.ts'
import { watchSurroundings } from './surroundings.ts'

render(<Page />, document.getElementById('page')!)
watchSurroundings()
void enter()
