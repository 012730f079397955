import '../styles/index.css'
import { render } from 'preact'
import { Page } from './page.tsx'
import { enter, enterByLink } from './session.ts'
import { watchSurroundings } from './surroundings.ts'

render(<Page />, document.getElementById('page')!)
watchSurroundings()
void enter()
addEventListener('hashchange', () => void enterByLink())
