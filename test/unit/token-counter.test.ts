import { setImmediate as nextTurn } from 'node:timers/promises'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { expect, it, onTestFinished } from 'vitest'
import { TokenCounter, type TokenCounterOptions } from '../../src/usage/token-counter.ts'

const LONG_MS = 60_000

function newCounter(options?: TokenCounterOptions): TokenCounter {
  const counter = new TokenCounter(options)
  onTestFinished(() => counter.stop())
  return counter
}

it('counts what the tokenizer counts, cut or not, and starts no thread before', async () => {
  const counter = newCounter()
  expect(counter.running).toBe(false)
  const texts = ['', 'Hi', 'The quick brown fox jumps over the lazy dog. '.repeat(200), '{"city":"Köln"}\n\tfoo()']
  for (const text of texts) expect(await counter.count(text, LONG_MS)).toBe(countTokens(text))
  expect(counter.running).toBe(true)
})

it('counts names of special tokens as text', async () => {
  expect(await newCounter().count('<|endoftext|>', LONG_MS)).toBeGreaterThan(1)
})

it('counts a text without spaces in slices, as the whole would take minutes', async () => {
  const text = '中文字'.repeat(100_000)
  const count = await newCounter().count(text, LONG_MS)
  const perCharacter = countTokens('中文字'.repeat(100)) / 300
  expect(count).toBeGreaterThan(text.length * perCharacter * 0.95)
  expect(count).toBeLessThan(text.length * perCharacter * 1.05)
})

it('keeps surrogate pairs whole', async () => {
  // The emoji stand at odd places, so that half of all cuts would split one.
  const count = await newCounter().count(`x${'😀'.repeat(5000)}`, LONG_MS)
  expect(count).toBeLessThanOrEqual(countTokens('😀') * 5000 + 21)
})

it('gives up after the time that it is given, and counts again later', async () => {
  const counter = newCounter()
  expect(await counter.count('Hi', 0)).toBeUndefined()
  expect(await counter.count('Hi', LONG_MS)).toBe(1)
})

it('survives a thread that throws, exits or cannot load, and starts another', async () => {
  for (const program of ['throw new Error("no")', 'process.exit(1)', 'require("/no/such/module")', 'syntax error']) {
    const failing = newCounter({ program })
    expect(await failing.count('Hi', LONG_MS)).toBeUndefined()
    expect(failing.running).toBe(false)
    // Not at once: it would fail again.
    expect(await failing.count('Hi', LONG_MS)).toBeUndefined()
    expect(failing.running).toBe(false)
  }
  const crashing = newCounter({
    restartMs: 0,
    program: `const { parentPort } = require('node:worker_threads')
      parentPort.on('message', (texts) => { if (texts.includes('bomb')) throw new Error('boom'); parentPort.postMessage(texts.map(() => 7)) })`,
  })
  expect(await crashing.count('Hi', LONG_MS)).toBe(7)
  expect(await Promise.all([crashing.count('bomb', LONG_MS), crashing.count('Hi', LONG_MS)])).toEqual([
    undefined,
    undefined,
  ])
  expect(await crashing.count('Hi', LONG_MS)).toBe(7)
})

it('answers each text on its own, however many are counted at once', async () => {
  const counter = newCounter()
  const texts = Array.from({ length: 300 }, (_, i) => 'word '.repeat(i))
  const counts = await Promise.all(texts.map((text) => counter.count(text, LONG_MS)))
  expect(counts).toEqual(texts.map((text) => countTokens(text)))
})

it('lets a text wait no longer because others may', async () => {
  const stuck = newCounter({ program: 'require("node:worker_threads").parentPort.on("message", () => {})' })
  const patient = stuck.count('a', LONG_MS)
  expect(await stuck.count('b', 1)).toBeUndefined()
  stuck.stop()
  expect(await patient).toBeUndefined()
})

it('sends the thread a bounded amount of text', async () => {
  const counter = newCounter({
    maxWaiting: 10,
    program: 'require("node:worker_threads").parentPort.on("message", () => {})',
  })
  const first = counter.count('12345678', LONG_MS)
  expect(await counter.count('123', LONG_MS)).toBeUndefined()
  // Nobody waits for this one any more, but the thread still has it.
  expect(await counter.count('12', 0)).toBeUndefined()
  expect(await counter.count('1', LONG_MS)).toBeUndefined()
  counter.stop()
  expect(await first).toBeUndefined()
})

it('ends the thread when there is nothing to count for a while', async () => {
  const counter = newCounter({ idleMs: 1 })
  expect(await counter.count('Hi', LONG_MS)).toBe(1)
  while (counter.running) await nextTurn()
  expect(await counter.count('Hi', LONG_MS)).toBe(1)
})

it('ends the thread soon after a gateway has closed, and starts it again for another one', async () => {
  const counter = newCounter()
  expect(await counter.count('Hi', LONG_MS)).toBe(1)
  counter.rest()
  expect(await counter.count('Hi', LONG_MS)).toBe(1)
  counter.rest()
  while (counter.running) await nextTurn()
  expect(await counter.count('Hi', LONG_MS)).toBe(1)
})
