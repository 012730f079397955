import { describe, expect, it } from 'vitest'
import { readBoolean, readDictionary, readInteger } from '../../src/http/structured-fields.ts'

describe('an Integer in a field', () => {
  it.each([
    ['0', 0],
    ['5', 5],
    [' 5 ', 5],
    ['5;x=1', 5],
    ['999999999999999', 999_999_999_999_999],
    ['05', 5],
    ['1000000000000000', null],
    ['-1', null],
    ['5.0', null],
    ['"5"', null],
    ['5, 6', null],
    ['five', null],
    ['', null],
  ])('%j is %s', (text, value) => {
    expect(readInteger(text)).toBe(value)
  })
})

describe('a Boolean in a field', () => {
  it.each([
    ['?1', true],
    ['?0', false],
    [' ?1;x', true],
    ['1', null],
    ['true', null],
    ['?2', null],
    ['', null],
  ])('%j is %s', (text, value) => {
    expect(readBoolean(text)).toBe(value)
  })
})

describe('a Dictionary in a field', () => {
  it.each([
    ['', []],
    ['a=1, b', ['a', 'b']],
    ['a=', null],
    ['A=1', null],
    ['a b', null],
  ])('%j has the members %j', (text, names) => {
    const dictionary = readDictionary(text)

    expect(dictionary && [...dictionary.keys()]).toEqual(names)
  })
})
