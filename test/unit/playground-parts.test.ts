import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { chartScale, cursorPath, framePath, ticks } from '../../src/playground/chart-scale.ts'
import { Conversation } from '../../src/playground/conversation.ts'
import { parseStatus } from '../../src/playground/gateway-info.ts'
import { GatewayKey, type KeyState } from '../../src/playground/gateway-key.ts'
import { PRESETS, readKnobs } from '../../src/playground/knobs.ts'
import { formatAddress, parseAddress, rememberTicket } from '../../src/playground/shared-link.ts'
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

  it('comes back after a reload up to the stream that is asked for, with what this tab has of its answer', () => {
    const storage = storageOf()
    const before = new Conversation(storage)
    Object.assign(before.add({ question: 'one?' }, 'str_1'), { answer: 'one.' })
    Object.assign(before.add({ question: 'two?' }, 'str_2'), { answer: 'two.' })
    before.add({ question: 'three?' }, 'str_3')
    before.save()
    const after = new Conversation(storage)
    expect(after.restore('str_2')).toEqual({ question: 'two?', answer: 'two.', streamId: 'str_2' })
    expect(after.turns.map(({ question }) => question)).toEqual(['one?', 'two?'])
    expect(after.messagesFor({ question: 'three?' })).toEqual([
      { role: 'user', content: 'one?' },
      { role: 'assistant', content: 'one.' },
      { role: 'user', content: 'two?' },
      { role: 'assistant', content: 'two.' },
      { role: 'user', content: 'three?' },
    ])
    expect(after.messagesFor({ question: 'Instead?' }, 0)).toEqual([{ role: 'user', content: 'Instead?' }])
  })

  it('sends calls of tools along with their results, and without results only what was said', () => {
    const conversation = new Conversation(storageOf())
    const called = {
      role: 'assistant' as const,
      content: 'I look.',
      tool_calls: [{ id: 'a', type: 'function' as const, function: { name: 'find', arguments: '{}' } }],
    }
    Object.assign(conversation.add({ question: 'one?' }), { answer: 'I look.', called })
    const results = [{ id: 'a', name: 'find', content: '3' }]
    expect(conversation.messagesFor({ question: undefined, results })).toEqual([
      { role: 'user', content: 'one?' },
      called,
      { role: 'tool', tool_call_id: 'a', content: '3' },
    ])
    expect(conversation.messagesFor({ question: 'two?' }).slice(1)).toEqual([
      { role: 'assistant', content: 'I look.' },
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
    conversation.add({ question: 'one?' })
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

/** What a tab keeps; or a browser that allows nothing to be kept. */
function memoryOf(kept: Record<string, string> = {}, allowed = true) {
  const check = () => {
    if (!allowed) throw new DOMException('Not allowed.', 'SecurityError')
  }
  return {
    getItem: (name: string) => (check(), kept[name] ?? null),
    setItem: (name: string, value: string) => (check(), void (kept[name] = value)),
  }
}

describe('the address of a stream', () => {
  it('is read as it was written, with a ticket or without', () => {
    for (const address of [{ id: 'str_1' }, { id: 'str_1', ticket: 'r1abc.A-_z' }])
      expect(parseAddress(formatAddress(address))).toEqual({ ticket: undefined, ...address })
    for (const other of ['', '#', '#/', '#/a/b', '#/str_1?ticket=', '#/str_1?ticket=a&b', '#/<b>'])
      expect(parseAddress(other)).toBeUndefined()
  })

  it('has its ticket after a reload, and no other stream has it', () => {
    const memory = memoryOf()
    expect(rememberTicket(memory, { id: 'a', ticket: 't' })).toBe('t')
    expect(rememberTicket(memory, { id: 'a' })).toBe('t')
    expect(rememberTicket(memory, { id: 'b' })).toBeUndefined()
    expect(rememberTicket(memoryOf({}, false), { id: 'a', ticket: 't' })).toBe('t')
  })
})

describe('the key of the gateway', () => {
  function setUp(statuses: number[], memory = memoryOf()) {
    const sent: (string | null)[] = []
    const answers: (() => void)[] = []
    vi.stubGlobal('fetch', (_: unknown, { headers }: RequestInit) => {
      sent.push(new Headers(headers).get('authorization'))
      const response = new Response(null, { status: statuses.shift() ?? 200 })
      return new Promise((resolve) => answers.push(() => resolve(response)))
    })
    onTestFinished(() => void vi.unstubAllGlobals())
    const states: KeyState[] = []
    const key = new GatewayKey(memory, (state) => states.push(state))
    /** Asks, and is answered at once. */
    const ask = async () => {
      const response = key.fetch('/v1/models')
      answers.shift()?.()
      await response
    }
    return { key, states, sent, answers, ask }
  }

  it('is missed, refused or accepted, as the gateway answers', async () => {
    const { key, states, sent, ask } = setUp([200, 401, 401, 200, 403])
    await ask()
    await ask()
    key.use('wrong')
    await ask()
    key.use('right')
    await ask()
    await ask()
    expect(states).toEqual(['missing', 'refused', 'accepted'])
    expect(sent).toEqual([null, null, 'Bearer wrong', 'Bearer right', 'Bearer right'])
  })

  it('is not judged by the answer to an older one', async () => {
    const { key, states, answers } = setUp([401])
    const response = key.fetch('/v1/models')
    key.use('right')
    answers.shift()?.()
    await response
    expect(states).toEqual([])
  })

  it('is refused without a request when no header can hold it, and then not sent', async () => {
    const { key, states, sent, ask } = setUp([401])
    key.use('schlüssel')
    expect(states).toEqual(['refused'])
    await ask()
    expect(sent).toEqual([null])
  })

  it('is used, and lost with a reload, where nothing may be kept', async () => {
    const { key, sent, ask } = setUp([], memoryOf({}, false))
    key.use('right')
    await ask()
    expect(sent).toEqual(['Bearer right'])
  })
})
