import { signal } from '@preact/signals'

// The current section and its filters, in the fragment of the URL: bookmarks and the Back button work.

export const sections = ['now', 'uploads', 'policies', 'quota', 'keys', 'audit', 'explain'] as const
export type Section = (typeof sections)[number]

export interface Route {
  section: Section
  /** The item that is open in the section, such as an upload. */
  id: string | null
  /** The query parameters of the section's list. */
  query: Record<string, string>
}

export const route = signal<Route>(read())
addEventListener('hashchange', () => {
  route.value = read()
})

/** The link to a section. */
export function hrefOf(section: Section, id: string | null = null, query: Record<string, string> = {}): string {
  const parameters = Object.entries(query).filter(([, value]) => value !== '')
  const search = parameters.length === 0 ? '' : `?${new URLSearchParams(parameters)}`
  return `#/${section}${id === null ? '' : `/${encodeURIComponent(id)}`}${search}`
}

/** Changes the query parameters of the current list. */
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
