import { describe, expect, it } from 'vitest'
import { chartScale, cursorPath, framePath, ticks } from '../../src/playground/chart-scale.ts'
import { Conversation } from '../../src/playground/conversation.ts'
import { parseStatus } from '../../src/playground/gateway-info.ts'
import { PRESETS, readKnobs } from '../../src/playground/knobs.ts'
import { endOfSentences, formatBytes, formatDuration, formatMs } from '../../src/playground/wording.ts'
import { mock } from '../../providers/mock/mock.ts'

describe('the chart', () => {
  const area = { left: 10, right: 110, top: 0, bottom: 50 }

  it('draws a cursor as stairs: level while nothing comes, up with each frame', () => {
    const scale = chartScale(area, 0, 1000, 10)
    const steps = [
      { at: 200, id: 1, covers: 1 },
      { at: 600, id: 5, covers: 4 },
    ]
    expect(cursorPath(steps, scale, 0, 1000)).toBe('M10 50H30V45H70V25H110')
  })

  it('draws no more than there are pixels, however many frames came, and ends where the cursor is', () => {
    const scale = chartScale(area, 0, 1000, 5000)
    const steps = Array.from({ length: 5000 }, (_, index) => ({ at: index / 5, id: index + 1, covers: 1 }))
    const path = cursorPath(steps, scale, 0, 1000)
    expect(path.match(/V/g)?.length).toBe(100)
    expect(path).toMatch(/V0H110$/)
    expect(framePath(steps, scale, 60, 70).match(/M/g)?.length).toBe(100)
  })

  it('has round numbers on its axes', () => {
    expect(ticks(180, 3)).toEqual([100])
    expect(ticks(240, 3)).toEqual([100, 200])
    expect(ticks(2, 5)).toEqual([0.5, 1, 1.5, 2])
    expect(ticks(0, 5)).toEqual([])
  })
})

describe('the knobs', () => {
  function formOf(fields: Readonly<Record<string, string>>): FormData {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    return form
  }

  it('are numbers, and left to the mock when they are empty', () => {
    const form = formOf({
      tokens: '12',
      interval_ms: '0.5',
      stall_at: '',
      fail_code: 'upstream_timeout',
      message: 'hi',
    })
    expect(readKnobs(form)).toEqual({ tokens: 12, interval_ms: 0.5 })
    expect(readKnobs(formOf({ fail_at: '0', fail_code: 'upstream_timeout', tool_call: 'on' }))).toEqual({
      fail_at: 0,
      fail_code: 'upstream_timeout',
      tool_call: true,
    })
  })

  it.each(PRESETS)('of each preset are known to the mock: $name', ({ knobs }) => {
    const request = { model: 'mock', messages: [], mock: readKnobs(formOf(knobs)) }
    expect(() => mock().check?.(request)).not.toThrow()
  })
})

describe('a conversation', () => {
  function storageOf(items = new Map<string, string>()) {
    return {
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => void items.set(key, value),
    }
  }

  it('comes back after a reload up to the stream that is asked for, whose answer the gateway has', () => {
    const storage = storageOf()
    const before = new Conversation(storage)
    Object.assign(before.add('one?', 'str_1'), { answer: 'one.' })
    Object.assign(before.add('two?', 'str_2'), { answer: 'two.' })
    before.add('three?', 'str_3')
    before.save()
    const after = new Conversation(storage)
    expect(after.restore('str_2')).toEqual({ question: 'two?', answer: '', streamId: 'str_2' })
    expect(after.turns.map(({ question }) => question)).toEqual(['one?', 'two?'])
    expect(after.messages).toEqual([
      { role: 'user', content: 'one?' },
      { role: 'assistant', content: 'one.' },
      { role: 'user', content: 'two?' },
    ])
  })

  it.each(['', 'no JSON', '{}', '[1, null, {}]'])(
    'joins a stream it knows nothing of, whatever is stored: %j',
    (text) => {
      const conversation = new Conversation(storageOf(new Map([['sluice.conversation', text]])))
      expect(conversation.restore('str_9')).toEqual({ question: undefined, answer: '', streamId: 'str_9' })
      expect(conversation.turns).toHaveLength(1)
    },
  )

  it('goes on where nothing can be stored', () => {
    const full = {
      getItem: () => null,
      setItem: () => {
        throw new Error('full')
      },
    }
    const conversation = new Conversation(full)
    conversation.add('one?')
    expect(() => conversation.save()).not.toThrow()
  })
})

describe('what is said and shown', () => {
  it('is announced in whole sentences', () => {
    expect(endOfSentences('One. Two! Thr')).toBe(9)
    expect(endOfSentences('One.')).toBe(0) // Perhaps `One.5`.
    expect(endOfSentences('One.\n\nTwo')).toBe(4)
    expect(endOfSentences('no end')).toBe(0)
  })

  it('has units that fit', () => {
    expect([formatMs(33.4), formatMs(999.4), formatMs(1250)]).toEqual(['33 ms', '999 ms', '1.25 s'])
    expect([formatBytes(999), formatBytes(1234)]).toEqual(['999 B', '1.2 kB'])
    expect([5_000, 180_000, 7_200_000, 200_000_000].map(formatDuration)).toEqual(['5 s', '3 min', '2 h', '2 d'])
  })

  it('is a status only if it has all that a status has', () => {
    const status = {
      status: 'ready',
      version: '0.1.0',
      started: 1,
      connections: 3,
      streams: 2,
      providers: [{ name: 'mock', breakers_open: 0 }],
    }
    expect(parseStatus(JSON.stringify(status))).toEqual(status)
    for (const wrong of ['', 'null', '[]', '{}', JSON.stringify({ ...status, providers: [{}] })])
      expect(parseStatus(wrong)).toBeUndefined()
  })
})
