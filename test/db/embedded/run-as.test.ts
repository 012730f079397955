import { describe, expect, it } from 'vitest'
import { chooseFrom } from '../../../src/db/embedded/run-as.ts'

const root = 'root:x:0:0:root:/root:/bin/bash'
const alice = 'alice:x:1000:1000::/home/alice:/bin/bash'
const nobody = 'nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin'
const postgres = 'postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash'
const daemon = 'daemon:x:1:1:daemon:/usr/sbin:/sbin/nologin'

describe('the user that Postgres runs as when Landfall is root', () => {
  it.each([
    ['nobody', [root, alice, nobody], { uid: 65_534, gid: 65_533 }],
    ['postgres before nobody', [root, nobody, postgres], { uid: 101, gid: 104 }],
    ['another user that cannot log in', [root, alice, daemon], { uid: 1, gid: 1 }],
    ['never a person', [root, alice], null],
    ['never a second root', [root, 'nobody:x:0:0::/:/sbin/nologin'], null],
    ['missing where lines are invalid', ['', 'nobody', 'nobody:x:a:b:::'], null],
  ])('is %s', (_, lines, expected) => {
    expect(chooseFrom(lines.join('\n'))).toEqual(expected)
  })
})
