import { expect, it } from 'vitest'
import type { ListContext, Provider } from '../../providers/provider.ts'
import { SluiceError } from '../../src/errors.ts'
import { ModelCatalog, type CatalogObserver } from '../../src/routing/model-catalog.ts'
import { Router } from '../../src/routing/router.ts'
import { loadConfig } from '../../src/config.ts'

const MINUTE = 60_000

/** A catalog of one provider, whose answers the test queues. */
function catalogOf(...answers: (() => Promise<readonly string[]>)[]) {
  const asked: ListContext[] = []
  const reports: unknown[] = []
  const clock = { now: 0 }
  const provider: Provider = {
    name: 'p',
    async *stream() {},
    listModels(context) {
      asked.push(context)
      return (answers.shift() ?? (() => Promise.resolve([])))()
    },
  }
  const keys = ['k1', 'k2'].map((key) => ({ key, weight: 1 }))
  const observer: CatalogObserver = {
    failed: (name, { code }) => reports.push([name, code]),
    recovered: (name, models) => reports.push([name, models]),
  }
  const providers = new Map([['p', { provider, options: { of: 'p' }, keys }]])
  const catalog = new ModelCatalog(providers, observer, { now: () => clock.now, firstWaitMs: 20, totalTimeoutMs: 50 })
  return { catalog, providers, asked, reports, clock }
}

const names =
  (...list: string[]) =>
  () =>
    Promise.resolve(list)
const failure = () => Promise.reject(new SluiceError('upstream_auth', 'no'))
const settled = () => new Promise((resolve) => setImmediate(resolve))

it('a list is asked for again after ten minutes, when somebody wants it, who does not wait', async () => {
  const { catalog, asked, clock } = catalogOf(names('a'), names('a', 'b'))
  await catalog.refresh()
  expect(catalog.modelsOf('p')).toEqual(['a'])
  clock.now = 10 * MINUTE - 1
  await catalog.refresh()
  expect(asked).toHaveLength(1)
  clock.now = 10 * MINUTE
  const refreshed = catalog.refresh()
  expect(catalog.modelsOf('p')).toEqual(['a'])
  await refreshed
  await settled()
  expect(catalog.modelsOf('p')).toEqual(['a', 'b'])
  expect(asked).toHaveLength(2)
})

it('a failure leaves the list as it was, is reported once, and is followed by growing pauses and the next key', async () => {
  const { catalog, asked, reports, clock } = catalogOf(names('a'), failure, failure, failure, names('b'))
  await catalog.refresh()
  const times: number[] = []
  for (; clock.now < 12 * MINUTE; clock.now += 1000) {
    const before = asked.length
    void catalog.refresh()
    await settled()
    if (asked.length > before) times.push(clock.now / 1000)
    if (times.length === 3) expect(catalog.modelsOf('p')).toEqual(['a'])
  }
  expect(times).toEqual([600, 615, 645, 705])
  expect(asked.map(({ apiKey }) => apiKey)).toEqual(['k1', 'k1', 'k2', 'k1', 'k2'])
  expect(reports).toEqual([
    ['p', 'upstream_auth'],
    ['p', 1],
  ])
  expect(catalog.modelsOf('p')).toEqual(['b'])
})

it('one that never comes is given up, and waited for only at first', async () => {
  const { catalog, asked, reports } = catalogOf(() => new Promise(() => {}))
  await catalog.refresh()
  expect(asked).toMatchObject([{ options: { of: 'p' }, signal: { aborted: false } }])
  await expect.poll(() => reports).toEqual([['p', 'upstream_timeout']])
  expect(asked[0]!.signal.aborted).toBe(true)
})

it('after `close` nothing is asked, reported or left running', async () => {
  const { catalog, asked, reports } = catalogOf(() => new Promise(() => {}))
  const waiting = catalog.refresh()
  catalog.close()
  await waiting
  await catalog.refresh()
  expect(asked).toHaveLength(1)
  expect(asked[0]!.signal.aborted).toBe(true)
  expect(reports).toEqual([])
})

it('the router lists what is there, without what leads elsewhere', async () => {
  const { catalog, providers } = catalogOf(names('a', 'moved', 'org/b'))
  const config = { ...loadConfig(), models: { 'p/moved': 'p/a' } }
  const router = new Router(providers, config, { catalog })
  expect(router.models().map(({ id }) => id)).toEqual(['p/moved'])
  await catalog.refresh()
  expect(router.models()).toEqual(['p/moved', 'p/a', 'p/org/b'].map((id) => ({ id, provider: 'p' })))
})
