import { expect, it } from 'vitest'
import { namedStatement } from '../../src/db/named-parameters.ts'

it('parameters are numbered in the order of their names, and casts are none', () => {
  const statement = namedStatement<'size' | 'id'>('a', `select :size::bigint, :id, now()::date where a = :size`)

  expect(statement.text).toBe('select $1::bigint, $2, now()::date where a = $1')
  expect(statement.valuesOf({ id: 'x', size: 5 })).toEqual([5, 'x'])
})
