import { expect, it } from 'vitest'
import { ANONYMOUS, toCaller } from '../../src/access/caller.ts'
import type { RequestContext, Services } from '../../src/http/context.ts'
import { readUsage } from '../../src/http/handlers/usage.ts'
import type { Charge } from '../../src/usage/accounts.ts'
import { DAYS_KEPT, Ledger, MODELS_KEPT } from '../../src/usage/ledger.ts'

const DAY_MS = 86_400_000

const charge = (fields: Partial<Charge> = {}, name = 'a'): Charge => ({
  kind: 'stream',
  time: 0,
  caller: toCaller({ ...ANONYMOUS, name }),
  streamId: '0',
  protocol: 'native',
  provider: 'p',
  model: 'm',
  finish_reason: 'stop',
  prompt_tokens: 1,
  completion_tokens: 2,
  estimated: false,
  nanos: 5,
  duration_ms: 3,
  ...fields,
})

it('sums by UTC day, caller and model', () => {
  const ledger = new Ledger()
  ledger.add(charge())
  ledger.add(charge({ estimated: true, nanos: undefined, time: DAY_MS - 1 }))
  ledger.add(charge({ kind: 'forward', model: 'n' }))
  ledger.add(charge({}, 'b'))
  ledger.add(charge({ time: DAY_MS }))
  const row = { streams: 1, forwards: 0, prompt_tokens: 1, completion_tokens: 2, estimated_tokens: 0, nanos: 5 }
  const first = { date: '1970-01-01', caller: 'a', model: 'p/m' }
  expect([...ledger.rows('1970-01-01', '1970-01-01')]).toEqual([
    { ...first, ...row, streams: 2, prompt_tokens: 2, completion_tokens: 4, estimated_tokens: 3 },
    { ...first, ...row, model: 'p/n', streams: 0, forwards: 1 },
    { ...first, ...row, caller: 'b' },
  ])
  expect([...ledger.rows('1970-01-02', '1970-01-02', 'a')]).toEqual([{ ...first, ...row, date: '1970-01-02' }])
  expect([...ledger.rows('1970-01-02', '1970-01-02', 'b')]).toEqual([])
})

it('keeps a number of days: the oldest go first, even when the clock is set back', () => {
  const ledger = new Ledger()
  for (let day = DAYS_KEPT; day >= 0; day--) ledger.add(charge({ time: day * DAY_MS }))
  const dates = [...ledger.rows('0000-01-01', '9999-12-31')].map(({ date }) => date)
  expect(dates).toHaveLength(DAYS_KEPT)
  expect(dates).toEqual(dates.toSorted())
  expect(dates).not.toContain('1970-01-01')
})

it('keeps a number of rows in all: with many callers, the oldest day goes first', () => {
  const ledger = new Ledger({ most: 4 })
  for (const day of [0, 1]) for (const name of ['a', 'b']) ledger.add(charge({ time: day * DAY_MS }, name))
  const dates = () => [...ledger.rows('0000-01-01', '9999-12-31')].map(({ date }) => date)
  expect(dates()).toHaveLength(4)
  for (const name of ['a', 'b']) ledger.add(charge({ time: 2 * DAY_MS }, name))
  expect(dates()).toEqual(['1970-01-02', '1970-01-02', '1970-01-03', '1970-01-03'])
})

it('counts models beyond a number as other, and loses nothing', () => {
  const ledger = new Ledger()
  for (let i = 0; i < 1000; i++) ledger.add(charge({ model: `m${i}` }))
  const rows = [...ledger.rows('0000-01-01', '9999-12-31')]
  expect(rows).toHaveLength(MODELS_KEPT + 1)
  expect(rows.at(-1)).toMatchObject({ model: 'other', streams: 1000 - MODELS_KEPT })
})

it('is told in several turns of the event loop, however many callers there are', async () => {
  const ledger = new Ledger()
  for (let i = 0; i < 10_000; i++) ledger.add(charge({ time: Date.now() }, `caller-${i}`))
  const context = { query: {}, state: { caller: toCaller(ANONYMOUS) }, vary() {}, get: () => '' }
  let immediates = 0
  let over = false
  const count = () => {
    immediates += 1
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  await readUsage({ ledger } as unknown as Services)(context as unknown as RequestContext)
  over = true
  const { body } = context as { body?: string }
  expect(JSON.parse(body ?? '')).toMatchObject({ usage: { length: 10_000 } })
  expect(immediates).toBeGreaterThanOrEqual(10)
})
