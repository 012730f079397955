import type { ComponentChildren } from 'preact'

/** An icon of stroked paths, in a 24 by 24 view box. */
export function icon(...paths: string[]) {
  return () => (
    <Drawing>
      {paths.map((path) => (
        <path key={path} d={path} />
      ))}
    </Drawing>
  )
}

function Drawing({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  )
}

export const ArrowUp = icon(
  'M12 15V4',
  'M7.5 8.5 12 4l4.5 4.5',
  'M3.5 18.500c2-2 4.3-2 6.3-.4s4.2 1.6 6.3-.2 3.2-1.7 4.4-.8',
)
export const Pause = icon('M9 6v12', 'M15 6v12')
export const Play = icon('M8 5.500v13l10.5-6.500z')
export const Cross = icon('M6.5 6.500l11 11', 'M17.5 6.500l-11 11')
export const Retry = icon('M19.5 12a7.5 7.5 0 1 1-2.2-5.3', 'M19.5 3.800v4.400h-4.4')
export const Check = icon('M5 12.800l4.6 4.400L19 7.3')
export const Bin = icon(
  'M5 7h14',
  'M10 7V4.800h4V7',
  'M7 7l.8 12.200h8.400L17 7',
  'M10.3 10.500v5.2',
  'M13.7 10.500v5.2',
)
export const Alert = icon('M12 8v5', 'M12 16.300v.2', 'M12 3.500l9 16H3z')
export const Cloud = icon(
  'M3 3l18 18',
  'M9.3 6.200A6 6 0 0 1 17.5 11a4 4 0 0 1 2.6 6.5',
  'M16 19H7a4.5 4.5 0 0 1-.8-8.900c.1-.6.3-1.1.5-1.6',
)
export const Key = icon('M14.5 9.500a5 5 0 1 1-3.2-3.2', 'M12.5 11.5 20 4', 'M17 7l2.5 2.5')
export const Folder = icon('M3.5 7V18.500h17V8H12L10 5.500H3.500z')
export const Files = icon('M8 3.500h8l3.500 3.500V17H8z', 'M16 3.500V7h3.500', 'M4.500 7.500v13H16')
export const Chevron = icon('M8 10l4 4 4-4')
export const Clock = icon('M12 3.500a8.5 8.5 0 1 0 .01 0', 'M12 7.500V12l3 2')
const Image = icon('M4 5h16v14H4z', 'M4 16l4.5-4.5 4 4 2.5-2.5 5 5', 'M15.5 9v.1')
const Video = icon('M3.5 6.500h12v11h-12z', 'M15.5 10.500l5-2.800v8.600l-5-2.8')
const Audio = icon('M9 17.500V6l10-2v11.5', 'M9 17.500a2.5 2.5 0 1 1-.01-.6', 'M19 15.500a2.5 2.5 0 1 1-.01-.6')
const Text = icon('M6 3.500h8.500L19 8v12.500H6z', 'M14 3.500V8.500h5', 'M9 12.500h6.5', 'M9 16h6.5')
const Archive = icon('M4 4.500h16v4.500H4z', 'M5.5 9v10.500h13V9', 'M10 13h4')
const Other = icon('M6 3.500h8.500L19 8v12.500H6z', 'M14 3.500V8.500h5')

/** The icon for a media type. */
export function TypeIcon({ type }: { type: string }) {
  if (type.startsWith('image/')) return <Image />
  if (type.startsWith('video/')) return <Video />
  if (type.startsWith('audio/')) return <Audio />
  if (/zip|compressed|x-tar|7z|rar/.test(type)) return <Archive />
  if (/^text\/|pdf|msword|document|sheet|presentation|json|xml/.test(type)) return <Text />
  return <Other />
}

/** The logo of the project. */
export function Logo() {
  return (
    <span class="logo" aria-hidden="true">
      <ArrowUp />
    </span>
  )
}
