import { signal } from '@preact/signals'

// Where one is, in the address behind the `#`: it can be kept as a bookmark, and the browser's Back works.

export const sections = ['now', 'uploads', 'policies', 'quota', 'keys', 'audit', 'explain'] as const
export type Section = (typeof sections)[number]

export interface Route {
  section: Section
  /** What is open in the room, such as an upload. */
  id: string | null
  /** What is asked of the room's list. */
  query: Record<string, string>
}

export const route = signal<Route>(read())
addEventListener('hashchange', () => {
  route.value = read()
})

/** The address of a place, for a link. */
export function hrefOf(section: Section, id: string | null = null, query: Record<string, string> = {}): string {
  const said = Object.entries(query).filter(([, value]) => value !== '')
  const search = said.length === 0 ? '' : `?${new URLSearchParams(said)}`
  return `#/${section}${id === null ? '' : `/${encodeURIComponent(id)}`}${search}`
}

/** Asks something else of the list one looks at. */
export function setQuery(query: Record<string, string>): void {
  const { section, id } = route.peek()
  history.replaceState(null, '', hrefOf(section, id, query))
  route.value = read()
}

function read(): Route {
  const [path = '', search] = location.hash.replace(/^#\//, '').split('?')
  const [name, id] = path.split('/')
  return {
    section: sections.find((section) => section === name) ?? 'now',
    id: id ? decode(id) : null,
    query: Object.fromEntries(new URLSearchParams(search)),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
