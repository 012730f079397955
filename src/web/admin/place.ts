import { signal } from '@preact/signals'

// Where one is, in the address behind the `#`: it can be kept as a bookmark, and the browser's Back works.

export const rooms = ['now', 'uploads', 'policies', 'quota', 'keys', 'audit', 'explain'] as const
export type Room = (typeof rooms)[number]

export interface Place {
  room: Room
  /** What is open in the room, such as an upload. */
  id: string | null
  /** What is asked of the room's list. */
  query: Record<string, string>
}

export const place = signal<Place>(read())
addEventListener('hashchange', () => {
  place.value = read()
})

/** The address of a place, for a link. */
export function hrefOf(room: Room, id: string | null = null, query: Record<string, string> = {}): string {
  const said = Object.entries(query).filter(([, value]) => value !== '')
  const search = said.length === 0 ? '' : `?${new URLSearchParams(said)}`
  return `#/${room}${id === null ? '' : `/${encodeURIComponent(id)}`}${search}`
}

/** Asks something else of the list one looks at. */
export function ask(query: Record<string, string>): void {
  const { room, id } = place.peek()
  history.replaceState(null, '', hrefOf(room, id, query))
  place.value = read()
}

function read(): Place {
  const [path = '', search] = location.hash.replace(/^#\//, '').split('?')
  const [name, id] = path.split('/')
  return {
    room: rooms.find((room) => room === name) ?? 'now',
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
