import { expect, it } from 'vitest'
import { contentDisposition } from '../../../src/http/representation/disposition.ts'

it.each([
  ['notes.txt', 'notes.txt', 'notes.txt'],
  ['Prüfung 1.pdf', 'Pr_fung 1.pdf', 'Pr%C3%BCfung%201.pdf'],
  ['写真.png', '__.png', '%E5%86%99%E7%9C%9F.png'],
  ['😀.png', '_.png', '%F0%9F%98%80.png'],
  ['a"; filename="b.html', 'a_; filename=_b.html', 'a%22%3B%20filename%3D%22b.html'],
  ['a\r\nSet-Cookie: x=1', 'a__Set-Cookie: x=1', 'a__Set-Cookie%3A%20x%3D1'],
  ['a\u0000b', 'a_b', 'a_b'],
  ['../../etc/passwd', '.._.._etc_passwd', '.._.._etc_passwd'],
  ['C:\\boot.ini', 'C:_boot.ini', 'C%3A_boot.ini'],
  ['photo\u202egnp.exe', 'photo_gnp.exe', 'photo_gnp.exe'],
  ['100%.txt', '100_.txt', '100%25.txt'],
  ["it's (1)*.txt", "it's (1)*.txt", 'it%27s%20%281%29%2A.txt'],
  ['a\ud800b', 'a_b', 'a%EF%BF%BDb'],
  ['..', 'file', 'file'],
  ['', 'file', 'file'],
  [' ', 'file', 'file'],
])('%j is a name that cannot break out of its header', (name, ascii, extended) => {
  expect(contentDisposition('attachment', name)).toBe(`attachment; filename="${ascii}"; filename*=UTF-8''${extended}`)
})
