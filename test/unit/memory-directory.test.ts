import { describe, expect, it, onTestFinished } from 'vitest'
import { Budget } from '../../src/store/budget.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'

const ANSWERED = { type: 'done', finish_reason: 'stop' } as const
const infoOf = (id: string, owner = 'ada') => ({ id, owner, model: 'm', provider: 'p', created: 0 })

function newDirectory() {
  const budget = new Budget(Infinity)
  const directory = new MemoryDirectory({ retentionMs: 1000 }, budget)
  onTestFinished(() => directory.close())
  return { budget, directory }
}

describe('a directory in memory', () => {
  it('charges names to their client while their stream is there, and then a tombstone, which is smaller', async () => {
    const { budget, directory } = newDirectory()
    await directory.create(infoOf('1'), { client: 'c' })
    expect(budget.bytes).toBe(0)
    await directory.create(infoOf('2'), { client: 'c', alias: 'a', idempotency: { key: 'k', fingerprint: 'f' } })
    expect(budget.bytesOf('c')).toBeGreaterThan(1000)
    for (const id of ['1', '2']) directory.dropped(id, 'c')
    expect(budget.bytesOf('c')).toBe(budget.bytes)
    expect(budget.bytes).toBeLessThan(1500)
    while (directory.reclaim());
    expect(budget.bytes).toBe(0)
  })

  it('leaves a name to the stream that has taken it over', async () => {
    const { directory } = newDirectory()
    const names = { alias: 'a', idempotency: { key: 'k', fingerprint: 'f' } }
    await directory.create(infoOf('1'), names)
    directory.ended('1', { ...ANSWERED, finish_reason: 'cancelled' })
    expect(await directory.create(infoOf('2'), names)).toEqual({ info: infoOf('2'), joined: false })
    directory.dropped('1', 'c')
    expect(await directory.findByAlias('a', 'ada')).toEqual({ status: 'found', info: infoOf('2') })
    expect(await directory.join('ada', names.idempotency)).toEqual(infoOf('2'))
  })

  it('joins no reader that resumes to a stream that replaced another one: its cursor may be of that', async () => {
    const { directory } = newDirectory()
    const idempotency = { key: 'k', fingerprint: 'f' }
    const resuming = { ...idempotency, resuming: true }
    await directory.create(infoOf('1'), { idempotency })
    directory.ended('1', { ...ANSWERED, finish_reason: 'cancelled' })
    expect(await directory.join('ada', resuming)).toEqual(infoOf('1'))
    await directory.create(infoOf('2'), { idempotency })
    await expect(directory.create(infoOf('3'), { idempotency: resuming })).rejects.toMatchObject({
      code: 'stream_not_found',
    })
    expect(await directory.join('ada', idempotency)).toEqual(infoOf('2'))
  })

  it('does not register what it joins', async () => {
    const { directory } = newDirectory()
    const idempotency = { key: 'k', fingerprint: 'f' }
    await directory.create(infoOf('1'), { idempotency })
    directory.ended('1', ANSWERED)
    expect(await directory.create(infoOf('2'), { idempotency })).toEqual({ info: infoOf('1'), joined: true })
    expect(await directory.find('2', 'ada')).toEqual({ status: 'unknown' })
    expect(await directory.join('bob', idempotency)).toBeUndefined()
  })

  it('leaves nothing when it is closed', async () => {
    const { budget, directory } = newDirectory()
    await directory.create(infoOf('1'), { alias: 'a' })
    await directory.create(infoOf('2'), { alias: 'b' })
    directory.dropped('1', 'c')
    await directory.close()
    expect(budget.bytes).toBe(0)
    for (const id of ['1', '2']) expect(await directory.find(id, 'ada')).toEqual({ status: 'unknown' })
  })
})
