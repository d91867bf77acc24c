import { describe, expect, it } from 'vitest'
import { createKey, hashKey, KeyTable } from '../../src/access/api-keys.ts'

const grant = { scopes: ['chat' as const], limits: {}, userLimits: {} }

describe('API keys', () => {
  it('are random, and found by their hash alone', () => {
    const key = createKey()
    expect(createKey()).not.toBe(key)
    expect(key).toMatch(/^slk_[\w-]{43}$/)
    const table = new KeyTable([
      { name: 'ada', hash: hashKey(key), ...grant },
      { name: 'bob', key: 'secret', ...grant },
    ])
    expect(table.find(key)?.owner).toBe('ada')
    expect(table.find('secret')?.principal).toMatchObject({ name: 'bob', actsForUsers: false })
    for (const wrong of ['', 'secre', 'secret ', hashKey(key), hashKey('secret')])
      expect(table.find(wrong)).toBeUndefined()
  })
})
