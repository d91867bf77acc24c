import { describe, expect, it } from 'vitest'
import * as anthropic from './anthropic-upstream.ts'
import { bothWays, type Outcome } from './both-ways.ts'
import * as openai from './openai-upstream.ts'
import type { Answer, Upstream } from './upstream.ts'

/** An SDK, and how it is used; both calls fail as the SDK fails. */
export interface SdkSubject {
  /** What its upstream speaks. */
  type: 'openai' | 'anthropic'
  /** Reads a stream to its end, and tells of each text that comes. */
  stream(origin: string, onText: (text: string) => void, signal: AbortSignal): Promise<unknown>
  whole(origin: string, signal: AbortSignal): Promise<unknown>
}

/** What an error is called: its class, and the HTTP status where it has one; `none` for what is no failure. */
type Name = string

/** How a call fails straight at the upstream and through the gateway; one name when that is the same. */
export type Failures = Record<keyof typeof REFUSALS | keyof typeof BREAKS | typeof CUT, Name | [Name, Name]>

/** Before the first token: the status, and the error's type in either protocol. */
const REFUSALS = {
  '400': { status: 400, openai: 'invalid_request_error', anthropic: 'invalid_request_error' },
  '401': { status: 401, openai: 'invalid_request_error', anthropic: 'authentication_error' },
  '404': { status: 404, openai: 'invalid_request_error', anthropic: 'not_found_error' },
  '429': { status: 429, openai: 'requests', anthropic: 'rate_limit_error' },
  '500': { status: 500, openai: 'server_error', anthropic: 'api_error' },
  '503': { status: 503, openai: 'server_error', anthropic: 'overloaded_error' },
}

/** After it: how the stream breaks. */
const BREAKS = {
  'an error in mid-stream': 'error',
  'a reset in mid-stream': 'reset',
  'an end in mid-stream': 'end',
} satisfies Record<string, openai.Break>

const CUT = 'half of an answer in one piece'

/** That failures are failures through the gateway, too, and of the same kind wherever an SDK can tell kinds. */
export function describeFailures(subject: SdkSubject, expected: Failures): void {
  const { type } = subject

  describe.each(Object.entries(REFUSALS))('an upstream that answers %s', (what, { status, ...types }) => {
    const answer = type === 'openai' ? openai.refuses(status, types.openai) : anthropic.refuses(status, types.anthropic)
    const names = toPair(expected[what as keyof typeof REFUSALS])
    const calls = {
      stream: streamOf(subject, []),
      whole: (origin: string) => failureOf(subject.whole(origin, never())),
    }

    it.each(Object.entries(calls))('is a failure of the same kind, as %s', async (_, call) => {
      const { straight, through } = await bothWays(type, answer, call)
      expect([straight.result?.name, through.result?.name]).toEqual(names)
      expect(straight.result?.message).toContain('Told so')
      // What is wrong with the gateway's key is nothing that a caller could mend, or should read.
      if (status === 401) expect(through.result?.message).not.toContain('Told so')
      else expect(through.result?.message).toContain('Told so')
    })
  })

  it.each(Object.entries(BREAKS))('%s is a failure, after what came before it', async (what, how) => {
    const answer = type === 'openai' ? openai.breaks(openai.text, 2, how) : anthropic.breaks('text', 4, how)
    const { straight, through } = await bothWays(type, answer, async (origin) => {
      const texts: string[] = []
      const { name } = await streamOf(subject, texts)(origin)
      return { name, text: texts.join('') }
    })
    const names = toPair(expected[what as keyof typeof BREAKS])
    expect([straight.result, through.result]).toEqual(names.map((name) => ({ name, text: 'Grüße' })))
  })

  it(`${CUT} is a failure`, async () => {
    const answer = type === 'openai' ? openai.breaks(openai.text, 2, 'reset') : anthropic.breaks('text', 4, 'reset')
    const { straight, through } = await bothWays(type, answer, (origin) => failureOf(subject.whole(origin, never())))
    expect([straight.result?.name, through.result?.name]).toEqual(toPair(expected[CUT]))
  })
}

/** That a caller who aborts is told the same, and that the upstream is left at once. */
export function describeAborts(subject: SdkSubject): void {
  const { type } = subject
  const silent = (events: number): Answer =>
    type === 'openai' ? openai.breaks(openai.text, events, 'silence') : anthropic.breaks('text', events, 'silence')

  async function expectLeft(ways: { straight: Outcome<Failure>; through: Outcome<Failure> }): Promise<void> {
    expect(ways.straight.error).toBeUndefined()
    expect(ways.through.result).toEqual(ways.straight.result)
    await Promise.all([ways.straight.request.closed, ways.through.request.closed])
  }

  /** Aborts as soon as the upstream has been asked. */
  function abortEarly(call: (origin: string, signal: AbortSignal) => Promise<unknown>) {
    return async (origin: string, upstream: Upstream) => {
      const abort = new AbortController()
      const asked = upstream.requests.length
      const failure = failureOf(call(origin, abort.signal))
      await upstream.request(asked)
      abort.abort()
      return failure
    }
  }

  it('a stream that is aborted before its first token leaves the upstream', async () => {
    const stream = (origin: string, signal: AbortSignal) => subject.stream(origin, () => {}, signal)
    await expectLeft(await bothWays(type, silent(0), abortEarly(stream)))
  })

  it('a stream that is aborted after its first token leaves the upstream', async () => {
    const call = (origin: string) => {
      const abort = new AbortController()
      return failureOf(subject.stream(origin, () => abort.abort(), abort.signal))
    }
    await expectLeft(await bothWays(type, silent(4), call))
  })

  it('an answer in one piece that is aborted leaves the upstream', async () => {
    const whole = (origin: string, signal: AbortSignal) => subject.whole(origin, signal)
    await expectLeft(await bothWays(type, silent(0), abortEarly(whole)))
  })
}

interface Failure {
  name: Name
  message?: string
}

function streamOf(subject: SdkSubject, texts: string[]) {
  return (origin: string) => failureOf(subject.stream(origin, (text) => texts.push(text), never()))
}

async function failureOf(call: Promise<unknown>): Promise<Failure> {
  try {
    await call
    return { name: 'none' }
  } catch (error) {
    return { name: nameOf(error), message: error instanceof Error ? error.message : JSON.stringify(error) }
  }
}

function nameOf(error: unknown): Name {
  if (!(error instanceof Error)) return typeof error
  const { status, statusCode = status } = error as { status?: number; statusCode?: number }
  return statusCode === undefined ? error.constructor.name : `${error.constructor.name} ${statusCode}`
}

function toPair(names: Name | [Name, Name]): [Name, Name] {
  return typeof names === 'string' ? [names, names] : names
}

function never(): AbortSignal {
  return new AbortController().signal
}
