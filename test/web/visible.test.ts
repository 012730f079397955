import { describe, expect, it } from 'vitest'
import { visible } from '../../src/web/ui/visible.ts'

describe('an untrusted file name', () => {
  it.each([
    ['with a direction override', 'photo\u202egpj.exe', 'photo⟨U+202E⟩gpj.exe'],
    ['with an isolate', 'a\u2066b\u2069', 'a⟨U+2066⟩b⟨U+2069⟩'],
    ['with direction marks', '\u200ea\u200f\u061c', '⟨U+200E⟩a⟨U+200F⟩⟨U+061C⟩'],
    ['with line breaks', 'a\nb\u2028c\u0000', 'a⟨U+000A⟩b⟨U+2028⟩c⟨U+0000⟩'],
    ['with invisible characters', 'a\u200bb\ufeffc\u00add\u3164', 'a⟨U+200B⟩b⟨U+FEFF⟩c⟨U+00AD⟩d⟨U+3164⟩'],
    ['with half a surrogate pair', 'a\ud83dx', 'a⟨U+D83D⟩x'],
  ])('%s is shown with code points', (_, name, shown) => {
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
  ])('in any script is unchanged: %s', (name) => {
    expect(visible(name)).toBe(name)
  })
})
