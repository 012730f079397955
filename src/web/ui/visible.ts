/*
 * File names are untrusted. Invisible characters that change how others are displayed could make `photogpj.exe` look like
 * `photoexe.jpg`, so they are written out. Joiners, variation selectors and tags stay: Persian, Hebrew, Mongolian and emoji need them.
 */
const allowed =
  '\\u{34f}\\u{180b}-\\u{180f}\\u{200c}\\u{200d}\\u{fe00}-\\u{fe0f}\\u{e0020}-\\u{e007f}\\u{e0100}-\\u{e01ef}'
const invisible = new RegExp(
  `(?![${allowed}])[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Bidi_Control}\\p{Default_Ignorable_Code_Point}]`,
  'gu',
)

/** `text` with every invisible character that could deceive replaced by its code point: `photo⟨U+202E⟩gpj.exe`. */
export function visible(text: string): string {
  return text.replace(invisible, (character) => {
    const number = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
    return `⟨U+${number}⟩`
  })
}
