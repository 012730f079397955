import { describe, expect, it } from 'vitest'
import { agreeingName } from '../../../src/core/media/file-endings.ts'

describe('a file extension', () => {
  it.each([
    ['evil.exe', 'image/png', 'evil.png'],
    ['page.html', 'image/jpeg', 'page.jpg'],
    ['page.HTML', 'text/plain', 'page.txt'],
    ['photo.png', 'text/html', 'photo.html'],
    ['shell.php', 'text/plain', 'shell.txt'],
    ['shell.jsp', 'text/plain', 'shell.txt'],
    ['song.mp3', 'application/x-msdownload', 'song.exe'],
    ['drawing.svg', 'image/png', 'drawing.png'],
    ['shell.php', 'image/gif', 'shell.gif'],
    ['shell.php. ', 'image/gif', 'shell.gif'],
    ['notes.txt', 'image/webp', 'notes.webp'],
    ['letter.docx', 'application/pdf', 'letter.pdf'],
    ['a.png', 'application/x-unheard-of', 'a'],
  ])('of %s on a file of type %s is replaced', (name, type, agreed) => {
    expect(agreeingName(name, type)).toBe(agreed)
  })

  it.each([
    ['photo.jpeg', 'image/jpeg'],
    ['photo.JPG', 'image/jpeg'],
    ['clip.mov', 'video/mp4'],
    ['voice.m4a', 'audio/mp4'],
    ['raw.dng', 'image/tiff'],
    ['letter.docx', 'application/zip'],
    ['letter.docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
    ['book.epub', 'application/epub+zip'],
    ['old.doc', 'application/msword'],
    ['table.csv', 'text/plain'],
    ['data.json', 'application/json'],
    ['app.js', 'text/javascript'],
    ['script.py', 'application/x-sh'],
    ['drawing.svg', 'image/svg+xml'],
    ['feed.rss', 'application/rss+xml'],
    ['letter.odt', 'application/vnd.oasis.opendocument.text'],
    ['table.csv', 'application/vnd.ms-excel'],
    ['main.ts', 'text/plain'],
    ['run.py', 'text/plain'],
    ['release v1.2', 'image/png'],
    ['no ending', 'image/png'],
    ['evil.exe', 'application/octet-stream'],
    ['.htaccess', 'application/octet-stream'],
  ])('of %s is kept on a file of type %s', (name, type) => {
    expect(agreeingName(name, type)).toBe(name)
  })
})
