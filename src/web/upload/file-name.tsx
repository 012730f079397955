import { visible } from './visible.ts'

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
// Of a name that is too long for its place so many characters of the end stay in sight: endings tell files apart.
const endLength = 9

/**
 * The name of a file, whole and as one text, whatever its script. Where there is no room the style sheet covers the middle: what is
 * shown over it is no text of the page, so screen readers, find in page and copying get the name itself.
 */
export function FileName({ name }: { name: string }) {
  const text = visible(name)
  return (
    <bdi class="name" dir="auto" title={text}>
      <span class="name-text" data-end={endOf(text)}>
        {text}
      </span>
    </bdi>
  )
}

function endOf(text: string): string {
  // A name of some hundred characters is not cut into all of them.
  const tail = text.slice(-12 * endLength)
  const characters = Array.from(segmenter.segment(tail), ({ segment }) => segment)
  return characters.slice(-endLength).join('')
}
