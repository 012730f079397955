import { describe, expect, it } from 'vitest'
import { visible } from '../../src/web/upload/visible.ts'

describe('a name from a stranger', () => {
  it.each([
    ['turned round', 'photo\u202egpj.exe', 'photo⟨U+202E⟩gpj.exe'],
    ['with an isolate', 'a\u2066b\u2069', 'a⟨U+2066⟩b⟨U+2069⟩'],
    ['with direction marks', '\u200ea\u200f\u061c', '⟨U+200E⟩a⟨U+200F⟩⟨U+061C⟩'],
    ['with a line in it', 'a\nb\u2028c\u0000', 'a⟨U+000A⟩b⟨U+2028⟩c⟨U+0000⟩'],
    ['with nothing to see', 'a\u200bb\ufeffc\u00add\u3164', 'a⟨U+200B⟩b⟨U+FEFF⟩c⟨U+00AD⟩d⟨U+3164⟩'],
    ['with half a character', 'a\ud83dx', 'a⟨U+D83D⟩x'],
  ])('%s is shown as it is', (_, name, shown) => {
    expect(visible(name)).toBe(shown)
  })

  it.each([
    'שלום עולם.pdf',
    'تقرير الربع.docx',
    'می‌خواهم.txt',
    '👩‍👩‍👧 family ❤️.jpg',
    '🏴󠁧󠁢󠁥󠁮󠁧󠁿.png',
    'ᠮᠣᠩᠭᠣᠯ᠋.txt',
    '報告書 отчёт Übersicht é.pdf',
  ])('in its own script stays what it is: %s', (name) => {
    expect(visible(name)).toBe(name)
  })
})
