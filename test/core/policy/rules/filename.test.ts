import { describe, expect, it } from 'vitest'
import type { FileNames } from '../../../../src/core/policy/fields.ts'
import { defaultPolicies, effectivePolicy } from '../../../../src/core/policy/policy.ts'
import { filenameRule, storedNameRule } from '../../../../src/core/policy/rules/filename.ts'
import { userOf } from '../../../../src/core/upload.ts'

const ada = userOf('ada', 'creator')
const { policy } = effectivePolicy(defaultPolicies, ada)!

function ask(filename: string, fileNames: Partial<FileNames>, contentType = 'application/octet-stream') {
  const names = { allow: null, deny: [], maxLength: null, ...fileNames }
  const creation = { filename, contentType, size: 1, category: 'other' }
  const request = { actor: ada, creation: creation, policy: { ...policy, fileNames: names } }
  return () => {
    filenameRule(request)
    storedNameRule(request)
  }
}

describe('a denied name', () => {
  it.each([
    'evil.exe',
    'EVIL.EXE',
    'evil.png.exe',
    'evil.exe.',
    'evil.exe...',
    'evil.exe ',
    'evil.exe . . ',
    'evil.exe\t',
    'evil.exe\u00a0',
    'evil.exe\u3000',
    'evil.exe%20',
    'evil.exe%2E',
    'evil.exe%00.png',
    'evil.exe%2500',
    'evil%2Eexe',
    'evil%2eexe%20',
    'evil.%65xe',
    'evil.exe::$DATA',
    'evil.exe:$DATA',
    'evil.exe:stream.txt',
    'evil.exe;.png',
    'evil.exe/',
    'evil.exe\\',
    'a/b/evil.exe',
    '"evil.exe"',
    'evil.ex\u200be',
    'evil.exe\u200d',
    'evil.exe\ufeff',
    'evil.exe\u202e',
    'gpj.\u202eexe',
    'evil.e\u00adxe',
    'evil.ex\ufe0fe',
    'evil.exe\u3164',
    'evil．exe',
    'evil․exe',
    'evil.ｅｘｅ',
    'evil.𝐞𝐱𝐞',
    'evil.ℯxe',
    'evil.еxе',
    'evil.ЕХЕ',
    'evil.\u0435\u0445\u0435 ',
  ])('is refused however it is written: %j', (name) => {
    expect(ask(name, { deny: ['*.exe'] })).toThrow('of this kind may not be sent')
  })

  it.each([
    'report.exec',
    'exe',
    'evil.exe.png',
    'my.exercise.txt',
    'Résumé.pdf',
    'отчёт.pdf',
    '日本語.txt',
    '100%25.txt',
  ])('does not match %j, which is merely similar', (name) => {
    expect(ask(name, { deny: ['*.exe'] })).not.toThrow()
  })

  it('matches in either normal form, of the rule and of the name', () => {
    expect(ask('Gru\u0308n.txt', { deny: ['Gr\u00fcn*'] })).toThrow()
    expect(ask('Gr\u00fcn.txt', { deny: ['gru\u0308n*'] })).toThrow()
  })

  it('is refused when the detected type gives the stored name that extension', () => {
    expect(ask('invoice.pdf', { deny: ['*.exe'] }, 'application/x-msdownload')).toThrow()
  })
})

describe('an allowed name', () => {
  it.each(['evil.exe.png\u202eexe', 'evil.png.', 'evil.pn\u0261', 'photo.\u0440ng'])(
    'must be allowed both as sent and as stored: %j',
    (name) => {
      expect(ask(name, { allow: ['*.png'] })).toThrow('of this kind may not be sent')
    },
  )

  it('is refused when the detected type gives the stored name another extension', () => {
    expect(ask('photo.png', { allow: ['*.png'] }, 'text/html')).toThrow()
  })

  it('is accepted', () => {
    expect(ask('photo.png', { allow: ['*.png'] }, 'image/png')).not.toThrow()
  })
})

it('text that is not a file name is refused without any rule', () => {
  for (const name of ['evil.exe\0.png', '\ud800', 'x'.repeat(1025)])
    expect(ask(name, {})).toThrow(/name is not valid text|at most 1024 bytes/)
})
