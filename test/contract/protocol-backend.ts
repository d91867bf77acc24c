import { expect } from 'vitest'
import type { Config } from '../../src/config.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import type { Upstream } from '../support/upstream.ts'
import type { Fields, Said } from './protocol-client.ts'

/** What a provider is to say, in these pieces, and where it is to do otherwise. Places count pieces. */
export interface Script {
  reasoning?: string[]
  text?: string[]
  calls?: { id: string; name: string; arguments: string[] }[]
  finish?: 'stop' | 'length' | 'tool_calls'
  /** Says nothing more from here on, until it is told to go on … */
  pauseAt?: number
  /** … which it never is. */
  forGood?: boolean
  /** Says here that it has failed. */
  failAt?: number
  /** Ends here without a word. */
  truncateAt?: number
}

/** A gateway whose one model, `model`, does what it is told to. */
export interface Stage {
  gateway: TestGateway
  /** What a request has to say for the provider to play this. */
  play(script: Script): Fields
  /** Ends the pause. */
  goOn(): void
  /** What an answer that was played to its end says. */
  expected(script: Script): Said
  /** There is none behind the mock. */
  upstream?: Upstream
}

/** A provider that the contract is tried with. */
export interface Backend {
  name: 'mock' | 'openai' | 'anthropic'
  start(settings?: Partial<Config>): Promise<Stage>
}

/** What an upstream says when it fails. */
export const FAILURE = 'Out of order.'

/** What an upstream says that it has cost. */
export const USAGE = { input: 19, cached: 4, output: 10 }

export function saidBy({ reasoning = [], text = [], calls = [], finish = 'stop' }: Script): Said {
  return {
    text: text.join(''),
    reasoning: reasoning.join(''),
    calls: calls.map((call) => ({ ...call, arguments: call.arguments.join('') })),
    finish,
    usage: USAGE,
  }
}

export const mock: Backend = {
  name: 'mock',
  async start(settings) {
    return {
      gateway: await startGateway({ models: { model: { target: 'mock/mock', retries: 0 } }, ...settings }),
      goOn() {}, // It goes on by itself.
      play: toKnobs,
      // Its thoughts are its own, as is the id of its call, and it makes one at most.
      expected: ({ reasoning = [], calls = [], ...script }) => ({
        ...saidBy({ ...script, calls: calls.slice(0, 1).map((call) => ({ ...call, id: 'call_mock_1' })) }),
        reasoning: reasoning.length > 0 ? expect.stringMatching(/\w/) : '',
        usage: { input: 1, cached: 0, output: expect.any(Number) },
      }),
    }
  },
}

function toKnobs({ reasoning, text = [], calls, finish, pauseAt, forGood, failAt, truncateAt }: Script): Fields {
  const [call] = calls ?? []
  const tooLong = finish === 'length'
  const knobs = {
    interval_ms: 1,
    reasoning_tokens: reasoning?.length,
    text: `${text.join('')}${tooLong ? ' and more' : ''}`,
    tool_call: call && { name: call.name, arguments: JSON.parse(call.arguments.join('')) },
    stall_at: pauseAt,
    stall_ms: pauseAt === undefined || forGood ? undefined : 1000,
    fail_at: failAt,
    truncate_at: truncateAt,
  }
  return { mock: knobs, ...(tooLong && { max_tokens: text.length }) }
}
