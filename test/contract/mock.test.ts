import type { ChatRequest } from '../../providers/provider.ts'
import { mock } from '../../providers/mock/mock.ts'
import { describeProvider } from './provider.ts'

function ask(knobs: Record<string, unknown>): ChatRequest {
  return { model: 'mock', messages: [{ role: 'user', content: 'hi' }], mock: knobs }
}

describeProvider('mock', () => ({
  provider: mock(),
  answer: (text) => ask({ text, interval_ms: 0 }),
  endless: () => ask({ tokens: 10_000_000, interval_ms: 0 }),
  silent: () => ask({ first_token_ms: 3_600_000 }),
}))

describeProvider('mock that stalls', () => ({
  provider: mock(),
  answer: (text) => ask({ text, interval_ms: 0, stall_at: 1, stall_ms: 1 }),
  endless: () => ask({ tokens: 10_000_000, interval_ms: 0, stall_at: 1 }),
  silent: () => ask({ interval_ms: 0, stall_at: 0 }),
}))
